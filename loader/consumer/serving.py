"""``/metrics``, ``/healthz`` and ``/readyz`` over HTTP, from an overview of the workers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from loader import config
from loader.consumer.overview import Overview
from loader.errors import UsageError
from loader.logs import log
from loader.metrics_text import CONTENT_TYPE, exposition


@contextmanager
def served(settings: config.Consumer, overview: Overview) -> Iterator[int | None]:
    """Serve while the block runs, if a port is configured; gives the port.

    Raises:
        UsageError: the address cannot be had.
    """
    if settings.metrics_port is None:
        yield None
        return
    address = (settings.metrics_host, settings.metrics_port)
    try:
        server = _Server(address, overview)
    except OSError as error:
        raise UsageError(
            f"Metrics cannot be served on {address[0]}:{address[1]}: {error.strerror or error}.",
            hint="Choose another consumer.metrics_port, or --metrics-port.",
        ) from None
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    log.info("serving metrics", url=f"http://{address[0]}:{server.server_port}/metrics")
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], overview: Overview) -> None:
        self.overview = overview
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    #: A reader that is slower than this is dropped.
    timeout = 10

    def do_GET(self) -> None:
        overview = self.server.overview
        if self.path == "/metrics":
            self._answer(HTTPStatus.OK, CONTENT_TYPE, exposition(overview.samples()))
        elif self.path in {"/healthz", "/readyz"}:
            ok, workers = overview.health() if self.path == "/healthz" else overview.readiness()
            body = json.dumps({"ok": ok, "workers": workers}).encode() + b"\n"
            status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, "application/json", body)
        else:
            body = b"There is /metrics, /healthz and /readyz.\n"
            self._answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", body)

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the base class
        """A line a scrape would drown the rest."""
