"""A small schema registry: real HTTP on a port of its own, and the moods that one can be in."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class SchemaRegistry:
    """Serves ``/schemas/ids/<id>``.

    Attributes:
        schemas: by id, JSON text.
        types: by id, where it is not AVRO.
        login: ``user:password`` that every request must carry.
        status: answer every request so, with a body that no registry would send.
        held: requests wait while it is set.
        asked: the paths that were asked for.
        requested: set by each request.
    """

    def __init__(self, port: int = 0) -> None:
        self.schemas: dict[int, str] = {}
        self.types: dict[int, str] = {}
        self.login: str | None = None
        self.status: int | None = None
        self.held = threading.Event()
        self.released = threading.Event()
        self.asked: list[str] = []
        self.requested = threading.Event()
        self._closed = False
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop serving; connections are refused from now on, and open ones end with the next request."""
        self._closed = True
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str, login: str | None) -> tuple[int, object] | None:
        """Status and JSON body; None: the connection just ends."""
        if self._closed:
            return None
        self.asked.append(path)
        self.requested.set()
        if self.held.is_set():
            self.released.wait(60)
        if self.status is not None:
            return self.status, "something went wrong"
        if self.login is not None and login != self.login:
            return 401, {"error_code": 401, "message": "Unauthorized"}
        schema_id = int(path.removeprefix("/schemas/ids/").split("?")[0])
        if schema_id not in self.schemas:
            return 404, {"error_code": 40403, "message": "Schema not found"}
        body = {"schema": self.schemas[schema_id]}
        if schema_id in self.types:
            body["schemaType"] = self.types[schema_id]
        return 200, body

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                scheme, _, coded = (self.headers.get("Authorization") or "").partition(" ")
                login = base64.b64decode(coded).decode() if scheme == "Basic" else None
                answer = registry.answer(self.path, login)
                if answer is None:
                    self.close_connection = True
                    return
                status, body = answer
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def schema_registry(port: int = 0) -> Iterator[SchemaRegistry]:
    """A registry that is closed at the end."""
    registry = SchemaRegistry(port)
    try:
        yield registry
    finally:
        registry.close()
