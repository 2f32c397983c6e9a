"""Checks before any route sees a request: the host it names, the site that sent it, and its size.

Everything that runs on a machine can reach a service that listens on its loopback address: web pages in a browser
included. No password keeps them out, but two checks do. ``Host`` must be a name of this machine; without this check a
page whose own name points here (DNS rebinding) could read the answers. And a request that changes something must not
come from another site (``Origin``, ``Sec-Fetch-Site``); browsers send these headers, other clients do not.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from eventbus.http.connections import Refusals, Refused
from eventbus.http.problem_types import (
    CONTENT_TOO_LARGE,
    FOREIGN_ORIGIN,
    MALFORMED_REQUEST,
    MISDIRECTED_REQUEST,
)
from eventbus.http.problems import Problem
from eventbus.http.request_headers import headers_in
from eventbus.loopback import is_loopback

SAFE = ("GET", "HEAD", "OPTIONS")
ANY = "*"


class Hosts:
    """The names this service answers to: those of the loopback, and further ones that are allowed.

    ``listens_on``: the address of its server. ``allowed``: host names without ports; ``*`` is any. If the address is
    not the loopback's, nothing is checked unless names are given.
    """

    def __init__(self, listens_on: str, allowed: Sequence[str] = ()) -> None:
        self._allowed = {name.lower().rstrip(".") for name in allowed}
        self.checked = (bool(allowed) or is_loopback(listens_on)) and ANY not in self._allowed
        self._known = lru_cache(maxsize=64)(self._include)
        """It depends on the text and on names that never change. Clients send the same text again and again."""

    def include(self, authority: str) -> bool:
        """Whether ``authority`` (``Host``, with or without a port) is one of the names."""
        # No name is longer (RFC 1035, 2.3.4), and what is kept must be small.
        return self._known(authority) if len(authority) <= 262 else self._include(authority)

    def _include(self, authority: str) -> bool:
        name = host_of(authority)
        return name is not None and (name in self._allowed or is_loopback(name))


def host_of(authority: str) -> str | None:
    """The host in ``host:port``, in small letters, brackets and a last dot left out; None if it is not one."""
    try:
        parts = urlsplit(f"//{authority}")
        parts.port  # noqa: B018  raises if it is no number
    except ValueError:
        return None
    if parts.hostname is None or parts.path or parts.query or parts.fragment or "@" in authority:
        return None
    return parts.hostname.rstrip(".")


class Edge:
    """ASGI middleware: 421 for an unknown host, 403 for another site, 413 for a body above ``max_body`` bytes.

    ``streaming``: the paths whose bodies may have any size. ``origins``: those of other sites whose pages may send
    requests all the same; ``*`` is any.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_body: int,
        hosts: Hosts | None,
        refusals: Refusals,
        origins: Collection[str] = (),
        streaming: Collection[str] = (),
    ) -> None:
        self.app, self._max_body, self._refusals, self._origins = app, max_body, refusals, origins
        self._streaming = streaming
        self._hosts = hosts if hosts and hosts.checked else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = headers_in(scope)
        length = headers.get("content-length")
        streams = scope["path"] in self._streaming
        problem = self._hosts and self._refuse_origin(scope, headers, self._hosts)
        if problem := problem or (None if streams else self._refuse_length(length)):
            await problem.response()(scope, receive, send)
        elif streams:
            await self.app(scope, receive, send)
        else:
            # No body is longer than the length that it names: the parser ends it there.
            await self.app(scope, receive if length else self._counted(receive), send)

    def _refuse_origin(self, scope: Scope, headers: Headers, hosts: Hosts) -> Problem | None:
        named = headers.getlist("host")
        # Only HTTP/1.0 may leave Host out: health checks of gateways do.
        if len(named) > 1 or (not named and scope["http_version"] != "1.0"):
            return Problem(MALFORMED_REQUEST, "the Host header must be there once")
        if named and not hosts.include(named[0]):
            self._refusals.note(Refused.HOST)
            return Problem(
                MISDIRECTED_REQUEST,
                f"this service is not called {named[0][:100]!r}: ask it as localhost, "
                "or add the name to EVENTBUS_HTTP_ALLOWED_HOSTS",
            )
        if scope["method"] not in SAFE and self._is_foreign(headers, named, hosts):
            self._refusals.note(Refused.ORIGIN)
            return Problem(FOREIGN_ORIGIN, "pages of other sites may not send this (Origin)")
        return None

    def _is_foreign(self, headers: Headers, named: list[str], hosts: Hosts) -> bool:
        """Whether a browser sent the request for a page of another site. Ports do not tell sites apart."""
        origins = headers.getlist("origin")
        if len(origins) == 1 and (ANY in self._origins or origins[0] in self._origins):
            return False
        if headers.get("sec-fetch-site") == "cross-site":
            return True
        if not origins:
            return False
        host = host_of(origins[0].partition("://")[2]) if len(origins) == 1 else None
        return host is None or not (hosts.include(host) or (named and host == host_of(named[0])))

    def _refuse_length(self, length: str | None) -> Problem | None:
        digits = (length or "").lstrip("0") or "0"
        # A number only if it is a short one: Python refuses to read more than 4,300 digits.
        if len(digits) > 18 or not digits.isdecimal() or int(digits) > self._max_body:
            return self._too_large()
        return None

    def _counted(self, receive: Receive) -> Receive:
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._max_body:
                raise self._too_large()
            return message

        return counted

    def _too_large(self) -> Problem:
        self._refusals.note(Refused.BODY)
        return Problem(
            CONTENT_TOO_LARGE,
            f"the body is larger than {self._max_body} bytes",
            headers={"Connection": "close"},
        )
