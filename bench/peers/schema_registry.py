"""A schema registry with one schema, for peers that will not read Avro without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from loader.codec.schemas import ShippedSchemas


@contextmanager
def schema_registry() -> Iterator[str]:
    """Serve the event's schema as id 1 on a free port of this machine; yields the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Answer(BaseHTTPRequestHandler):
    """Whatever is asked (``/schemas/ids/1``, the subject's latest version): schema 1."""

    def do_GET(self) -> None:
        body = json.dumps(
            {
                "schema": ShippedSchemas().writer_schema(1),
                "id": 1,
                "version": 1,
                "subject": "events-value",
                "schemaType": "AVRO",
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Nothing: a line a request would be noise."""
