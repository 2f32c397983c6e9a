"""Direct routes: those asked so often that what FastAPI does for each request would cost more than their own work.

FastAPI tries all routes in turn, opens exit stacks for files and dependencies, and solves parameters. A direct route
has none of these: its path is fixed and it reads its request itself. FastAPI knows it too, for ``/openapi.json`` and
for the answer 405 to other methods.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from eventbus.http.request_headers import headers_in

Endpoint = Callable[[Request], Awaitable[Response]]


def add_direct_route(
    app: FastAPI, path: str, endpoint: Endpoint, method: str, *, streams: bool = False, **documented: Any
) -> None:
    """Answer ``method`` at ``path``, which has no parameters, by ``endpoint``.

    ``app``: one of :func:`~eventbus.http.app.create_app`. ``documented``: what ``FastAPI.add_api_route`` takes.
    ``streams``: the endpoint takes the body piece by piece and bounds what it keeps, so any number of bytes may come.
    """
    if streams:
        app.state.streaming.add(path)
    app.add_api_route(path, endpoint, methods=[method], **documented)
    app.state.direct[method, path] = endpoint


class DirectRoutes:
    """ASGI middleware, the one next to the routes. Other requests pass.

    ``handlers``: the exception handlers of the application. What none of them takes is raised, to be answered 500.
    """

    def __init__(
        self, app: ASGIApp, endpoints: Mapping[tuple[str, str], Endpoint], handlers: Mapping[Any, Any]
    ) -> None:
        self.app, self._endpoints, self._handlers = app, endpoints, handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoints.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if endpoint is None:
            await self.app(scope, receive, send)
            return
        request = DirectRequest(scope, receive)
        try:
            response = await endpoint(request)
        except Exception as error:
            handler = next((self._handlers[t] for t in type(error).__mro__ if t in self._handlers), None)
            if handler is None or handler is self._handlers.get(Exception):
                raise
            response = await handler(request, error)
        await response(scope, receive, send)


class DirectRequest(Request):
    """A request whose headers were looked into already, and whose body is read whole, once."""

    @property
    def headers(self) -> Headers:
        return headers_in(self.scope)

    async def body(self) -> bytes:
        """All of it. Raises ClientDisconnect if the client hangs up before."""
        chunks: list[bytes] = []
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunks.append(message.get("body", b""))
            more = message.get("more_body", False)
        return b"".join(chunks)
