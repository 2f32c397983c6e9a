"""What the HTTP side of every service has in common: problems (RFC 9457), health, metrics, what may come in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from eventbus.access import OPEN, Rule, Rules, Scope
from eventbus.access.rules import RuleTable
from eventbus.http.access import Access, AccessControl
from eventbus.http.connections import Refusals
from eventbus.http.direct import DirectRoutes
from eventbus.http.edge import Edge, Hosts
from eventbus.http.event_stream import OpenStreams
from eventbus.http.openapi import METRICS, READY, document, json_example
from eventbus.http.openapi_access import describe_access
from eventbus.http.problem_pages import page_routes
from eventbus.http.problem_types import BY_STATUS, INTERNAL_ERROR, NOT_READY, OTHER, UNAVAILABLE
from eventbus.http.problems import Problem, field_errors, invalid
from eventbus.model.errors import Unavailable
from eventbus.model.limits import HttpLimits

log = logging.getLogger("eventbus.http")

NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""Nothing here exports to OpenTelemetry. FastAPI would look for an exporter at each request."""

OPERATION: Rules = {
    "GET /healthz": OPEN,
    "GET /readyz": OPEN,
    "GET /metrics": Rule(Scope.ADMIN),
    "GET /dlq/preview": Rule(Scope.ADMIN),
    # The documents hold what is in the source anyway, and nothing of any order.
    "GET /docs": OPEN,
    "GET /docs/oauth2-redirect": OPEN,
    "GET /openapi.json": OPEN,
    "GET /problems": OPEN,
    "GET /problems/{name}": OPEN,
}
"""What the routes that every service has ask of their callers."""
CORS_METHODS = ("GET", "POST")
CORS_REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "Last-Event-ID",
    "Prefer",
    "traceparent",
    "X-Correlation-ID",
)
CORS_RESPONSE_HEADERS = (
    "ETag",
    "Idempotent-Replay",
    "Location",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
)
"""What pages of allowed origins may send and see, beside what every page may."""


def create_app(
    name: str,
    *,
    why_not_ready: Callable[[], str],
    max_body: int,
    routes: Sequence[Callable[[FastAPI], None]] = (),
    rules: Rules | None = None,
    access: Access | None = None,
    hosts: Hosts | None = None,
    refusals: Refusals | None = None,
    limits: HttpLimits | None = None,
) -> FastAPI:
    """The application of a service: its own routes beside those every service has.

    ``routes``: functions that add routes. ``rules``: what these ask of their callers; ``app.state.rules`` has all.
    ``access``: who its callers may be; anybody without it. ``hosts``: the names it answers to; any without them.
    ``limits``: those of its server.
    """
    refusals = refusals or Refusals()
    app = FastAPI(title=f"{name} service", version="1.0.0", redoc_url=None, telemetry=NO_TELEMETRY)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ClientDisconnect, _hung_up)
    app.add_exception_handler(Exception, _unexpected)

    @app.get("/healthz", tags=["operation"], responses={200: json_example({"status": "ok"})})
    async def healthz() -> dict[str, str]:
        """The process lives."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["operation"], responses=READY)
    async def readyz() -> Response:
        """It is caught up and may be sent traffic."""
        if reason := why_not_ready():
            return Problem(NOT_READY, reason, headers={"Retry-After": "1"}).response()
        return JSONResponse({"status": "ready"})

    @app.get("/metrics", tags=["operation"], response_class=Response, responses=METRICS)
    async def metrics() -> Response:
        """Prometheus text format."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    page_routes(app)
    # The last one added is the first to see a request.
    app.state.direct, app.state.streaming = {}, set()
    app.state.streams = OpenStreams(limits or HttpLimits(), refusals)
    app.add_middleware(DirectRoutes, endpoints=app.state.direct, handlers=app.exception_handlers)
    for add in routes:
        add(app)
    access = access or Access()
    app.state.rules = RuleTable({**OPERATION, **(rules or {})}, app.routes)
    _guard(app, access, refusals, max_body, hosts)
    is_on = access.authenticator is not None
    document(app, partial(describe_access, routes=app.routes, rules=app.state.rules.rules, is_on=is_on))
    return app


def _guard(app: FastAPI, access: Access, refusals: Refusals, max_body: int, hosts: Hosts | None) -> None:
    """Put what a request must pass before the service's own middleware. What is not asked for costs nothing."""
    if access.authenticator or access.rate:
        app.add_middleware(
            AccessControl,
            table=app.state.rules,
            authenticator=access.authenticator,
            rate=access.rate,
            refusals=refusals,
        )
    app.add_middleware(
        Edge,
        max_body=max_body,
        hosts=hosts,
        refusals=refusals,
        origins=access.origins,
        streaming=app.state.streaming,
    )
    if access.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(access.origins),
            allow_methods=CORS_METHODS,
            allow_headers=CORS_REQUEST_HEADERS,
            expose_headers=CORS_RESPONSE_HEADERS,
        )


async def _problem(_: Request, exception: Exception) -> Response:
    assert isinstance(exception, Problem)
    return exception.response()


async def _unavailable(_: Request, exception: Exception) -> Response:
    return Problem(UNAVAILABLE, str(exception), headers={"Retry-After": "1"}).response()


async def _http_exception(request: Request, exception: Exception) -> Response:
    assert isinstance(exception, HTTPException)
    detail = exception.detail if exception.detail != HTTPStatus(exception.status_code).phrase else ""
    if exception.status_code == 404:
        detail = f"there is nothing at {request.url.path[:200]}"
    if exception.status_code == 405:
        detail = f"{request.method} is not allowed here"
    headers = dict(exception.headers) if exception.headers else {}
    if "Allow" in headers:
        headers["Allow"] = _allowed(request)
    if kind := BY_STATUS.get(exception.status_code):
        return Problem(kind, detail, headers=headers).response()
    status = HTTPStatus(exception.status_code)
    return Problem(OTHER, detail, headers=headers, title=status.phrase, status=status.value).response()


def _allowed(request: Request) -> str:
    """The methods of all routes of the path. The framework names those of the first route only."""
    routes = request.app.routes
    first = next(route for route in routes if route.matches(request.scope)[0] is not Match.NONE)
    same = (route for route in routes if getattr(route, "path", None) == first.path)
    return ", ".join(sorted({method for route in same for method in route.methods or ()}))


async def _invalid(_: Request, exception: Exception) -> Response:
    assert isinstance(exception, RequestValidationError)
    # The first part of a location says whether it is the path, the query, a header or the body.
    return invalid(field_errors({**e, "loc": e["loc"][1:]} for e in exception.errors())).response()


async def _hung_up(_: Request, exception: Exception) -> Response:
    return Response(status_code=400)  # nobody is there to read it


async def _unexpected(request: Request, exception: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=exception)
    return Problem(INTERNAL_ERROR, "the error is in this service's log").response()
