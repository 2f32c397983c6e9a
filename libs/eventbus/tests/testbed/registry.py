"""A schema registry in memory that speaks HTTP on the loopback, and misbehaves as it is told."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

Answer = tuple[int, Any]
NO_SUBJECT: Answer = (404, {"error_code": 40401, "message": "Subject not found."})
NO_SCHEMA: Answer = (404, {"error_code": 40403, "message": "Schema not found."})


@dataclass
class FakeRegistry:
    """``schemas`` by id, ``subjects`` with the ids of their versions; the next schema gets ``next_id``.

    ``imports``: whether it lets one choose an id. ``trouble``: answers instead of the registry, or returns None.
    """

    next_id: int = 1
    imports: bool = True
    schemas: dict[int, str] = field(default_factory=dict)
    subjects: dict[str, list[int]] = field(default_factory=dict)
    modes: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    authorizations: set[str | None] = field(default_factory=set)
    trouble: Callable[[str, str], Answer | bytes | None] = lambda method, path: None
    port: int = 0
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def answer(self, method: str, path: str, body: Any) -> Answer:
        match method, [unquote(part) for part in path.partition("?")[0].strip("/").split("/")]:
            case "GET", ["schemas", "ids", number]:
                schema = self.schemas.get(int(number))
                return NO_SCHEMA if schema is None else (200, {"schema": schema})
            case "GET", ["subjects", subject, "versions"]:
                ids = self.subjects.get(subject)
                return NO_SUBJECT if ids is None else (200, list(range(1, len(ids) + 1)))
            case "GET", ["subjects", subject, "versions", number]:
                schema_id = self.subjects[subject][int(number) - 1]
                return 200, {"subject": subject, "id": schema_id, "schema": self.schemas[schema_id]}
            case "POST", ["subjects", subject, "versions"]:
                return self._register(subject, body)
            case "PUT", ["mode", subject]:
                if not self.imports:
                    return 422, {"error_code": 42205, "message": "mode is not mutable"}
                self.modes[subject] = body["mode"]
                return 200, body
            case "DELETE", ["mode", subject]:
                return 200, {"mode": self.modes.pop(subject, "READWRITE")}
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    def _register(self, subject: str, body: Any) -> Answer:
        schema, wanted = body["schema"], body.get("id")
        if wanted is not None and self.modes.get(subject) == "IMPORT":
            if self.schemas.get(wanted, schema) != schema:
                return 422, {"error_code": 42207, "message": f"id {wanted} is taken"}
            schema_id = wanted
        else:
            known = [number for number, text in self.schemas.items() if text == schema]
            schema_id = known[0] if known else self.next_id
            self.next_id += not known
        self.schemas[schema_id] = schema
        ids = self.subjects.setdefault(subject, [])
        if schema_id not in ids:
            ids.append(schema_id)
        return 200, {"id": schema_id}


@contextmanager
def serving(registry: FakeRegistry, tls: ssl.SSLContext | None = None) -> Iterator[FakeRegistry]:
    """The registry, reachable at its ``url`` until the block ends. The same port serves again later."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            registry.asked.append(f"{self.command} {self.path}")
            registry.authorizations.add(self.headers.get("authorization"))
            answer = registry.trouble(self.command, self.path)
            if answer is None:
                answer = registry.answer(self.command, self.path, body)
            status, content = (200, answer) if isinstance(answer, bytes) else answer
            payload = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-type", "application/vnd.schemaregistry.v1+json")
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_POST = do_PUT = do_DELETE = do_GET

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", registry.port), Handler)
    registry.port = server.server_port
    if tls:
        registry.scheme = "https"
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
