"""Serves the schema files over the HTTP API of a schema registry, on the loopback, until Ctrl-C."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tools.schema_registry.answers import Answer, SchemaFiles, error

MAX_BODY = 1_000_000
IDLE = 10
"""Seconds that a connection may be silent."""


class SchemaServer(ThreadingHTTPServer):
    """Listens on 127.0.0.1. ``port`` 0 takes any that is free. Raises OSError if it is taken."""

    daemon_threads = True

    def __init__(self, files: SchemaFiles, port: int = 0) -> None:
        self.files = files
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: SchemaServer
    protocol_version = "HTTP/1.1"
    timeout = IDLE

    def _answer(self) -> None:
        status, content = self._answered()
        payload = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/vnd.schemaregistry.v1+json")
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def _answered(self) -> Answer:
        try:
            length = int(self.headers.get("content-length") or 0)
            if not 0 <= length <= MAX_BODY:
                self.close_connection = True
                return error(413, 413, f"a body has at most {MAX_BODY} bytes")
            body = json.loads(self.rfile.read(length)) if length else None
        except (ValueError, RecursionError):
            self.close_connection = True
            return error(422, 42201, "Invalid schema: the body is not JSON")
        return self.server.files.answer(self.command, self.path, body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: whoever runs it wants to see its address, not each request."""
