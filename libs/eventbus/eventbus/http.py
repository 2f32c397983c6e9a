"""What the HTTP side of every service has in common: problems (RFC 9457), health, metrics, the body limit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from eventbus.bus import Bus
from eventbus.errors import Unavailable
from eventbus.rehearsal import previews

log = logging.getLogger("eventbus.http")
PROBLEM = "application/problem+json"


class Problem(Exception):
    """An answer that says what is wrong: RFC 9457 members, any further ones, and headers."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str = "",
        *,
        headers: dict[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        super().__init__(title)
        self.status, self.title, self.detail = status, title, detail
        self.headers, self.extensions = headers or {}, extensions

    def response(self) -> JSONResponse:
        body = {"type": "about:blank", "title": self.title, "status": self.status}
        if self.detail:
            body["detail"] = self.detail
        return JSONResponse(body | self.extensions, self.status, self.headers, media_type=PROBLEM)


def create_app(
    name: str,
    *,
    why_not_ready: Callable[[], str],
    max_body: int,
    routes: Callable[[FastAPI, Bus], None] | None = None,
    bus: Bus | None = None,
) -> FastAPI:
    """The application of a service: its own routes beside those every service has."""
    app = FastAPI(title=f"{name} service", version="1.0.0", redoc_url=None)
    app.add_middleware(BodyLimit, limit=max_body)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unexpected)

    @app.get("/healthz", tags=["operation"])
    async def healthz() -> dict[str, str]:
        """The process lives."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["operation"])
    async def readyz() -> Response:
        """It is caught up and may be sent traffic."""
        if reason := why_not_ready():
            return Problem(503, "Not ready", reason, headers={"Retry-After": "1"}).response()
        return JSONResponse({"status": "ready"})

    @app.get("/metrics", tags=["operation"])
    async def metrics() -> Response:
        """Prometheus text format."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    if bus:
        previews(app, bus)
    if routes and bus:
        routes(app, bus)
    return app


async def _problem(_: Request, exception: Exception) -> Response:
    assert isinstance(exception, Problem)
    return exception.response()


async def _unavailable(_: Request, exception: Exception) -> Response:
    return Problem(503, "Service Unavailable", str(exception), headers={"Retry-After": "1"}).response()


async def _http_exception(request: Request, exception: Exception) -> Response:
    assert isinstance(exception, HTTPException)
    detail = exception.detail if exception.detail != HTTPStatus(exception.status_code).phrase else ""
    if exception.status_code == 404:
        detail = f"there is nothing at {request.url.path}"
    if exception.status_code == 405:
        detail = f"{request.method} is not allowed here"
    headers = dict(exception.headers) if exception.headers else None
    phrase = HTTPStatus(exception.status_code).phrase
    return Problem(exception.status_code, phrase, detail, headers=headers).response()


async def _invalid(_: Request, exception: Exception) -> Response:
    assert isinstance(exception, RequestValidationError)
    errors = exception.errors()
    if any(e["type"] == "json_invalid" for e in errors):
        error = next(e for e in errors if e["type"] == "json_invalid")
        reason = error.get("ctx", {}).get("error", "")
        return Problem(400, "Malformed JSON", f"at byte {error['loc'][-1]}: {reason}").response()
    return invalid([{"field": field_path(e["loc"]), "message": e["msg"]} for e in errors]).response()


def invalid(errors: list[dict[str, str]]) -> Problem:
    """422 with every field that is wrong: ``{"field": "items[0].quantity", "message": …}``."""
    detail = "; ".join(f"{e['field']}: {e['message']}" for e in errors[:5])
    return Problem(422, "Invalid request", detail, errors=errors)


def field_path(loc: tuple[Any, ...] | list[Any]) -> str:
    """pydantic's location as a reader writes it: ``("body", "items", 0, "quantity")`` is ``items[0].quantity``."""
    parts = [p for i, p in enumerate(loc) if not (i == 0 and p in ("body", "query", "path", "header"))]
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path or "body"


async def _unexpected(request: Request, exception: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=exception)
    return Problem(500, "Internal Server Error", "the error is in this service's log").response()


class BodyLimit:
    """ASGI middleware: a body larger than ``limit`` bytes is answered 413 before it is read further."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app, self.limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        length = next((v for k, v in scope["headers"] if k == b"content-length"), b"0")
        if not length.isdigit() or int(length) > self.limit:
            await self._refuse(scope, receive, send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.limit:
                raise HTTPException(413, f"the body is larger than {self.limit} bytes")
            return message

        await self.app(scope, counted, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = Problem(413, "Content Too Large", f"the body is larger than {self.limit} bytes")
        await problem.response()(scope, receive, send)
