"""The check that stands before all routes but the open ones: who calls, how often, and whether it may."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from functools import partial
from typing import Self

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from eventbus.access import ANONYMOUS, Caller, Rule
from eventbus.access.authentication import Authenticator, authenticator
from eventbus.access.caller import NotAuthenticated
from eventbus.access.rate import RateLimit
from eventbus.access.rules import RuleTable
from eventbus.http.callers import ASK_AGAIN, CALLER, CHALLENGE, forbidden
from eventbus.http.connections import Refusals, Refused
from eventbus.http.problem_types import (
    MALFORMED_REQUEST,
    NOT_AUTHENTICATED,
    TOO_MANY_REQUESTS,
    UNAVAILABLE,
)
from eventbus.http.problems import Problem
from eventbus.http.request_headers import headers_in
from eventbus.model.errors import Misconfigured, Unavailable
from eventbus.settings import AccessSettings

_ORIGIN = re.compile(r"https?://[^/?#@\s]+|\*")


@dataclass(frozen=True)
class Access:
    """Who may use an application. As it is made without arguments: everybody, for everything."""

    authenticator: Authenticator | None = None
    """None if access control is off."""
    rate: RateLimit | None = None
    """None if callers may send as much as they like."""
    origins: frozenset[str] = frozenset()
    """The origins whose pages may use it from a browser; ``*`` is any."""

    @classmethod
    def of(cls, settings: AccessSettings) -> Self:
        """What the settings ask for. Raises Misconfigured."""
        origins = settings.cors_origins()
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise Misconfigured(
                    f"EVENTBUS_HTTP_CORS_ORIGINS has {origin!r}: give origins such as https://shop.example.org, "
                    "without a path"
                )
        rate = RateLimit(settings.http_rate, settings.http_burst) if settings.http_rate else None
        return cls(authenticator(settings), rate, frozenset(origins))

    async def watch(self) -> None:
        """Take in changed keys, for ever."""
        if self.authenticator:
            await self.authenticator.watch()
        await asyncio.Event().wait()


class AccessControl:
    """ASGI middleware, next to the edge. 401 or 400 without valid credentials, 403 without the scope, 429 too often.

    ``authenticator``: None if access control is off; then all callers are the same one. ``rate``: None is no limit.
    """

    def __init__(
        self,
        app: ASGIApp,
        table: RuleTable,
        authenticator: Authenticator | None,
        rate: RateLimit | None,
        refusals: Refusals,
    ) -> None:
        self.app, self._table, self._authenticator = app, table, authenticator
        self._rate, self._refusals = rate, refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        rule = self._table.rule(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if scope["type"] == "lifespan" or (rule is not None and rule.scope is None):
            await self.app(scope, receive, send)
            return
        try:
            who = await self._caller(scope)
            if self._rate:
                send = self._counted(self._rate, who, send)
            self._check(who, rule)
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return
        scope[CALLER], scope[ASK_AGAIN] = who, partial(self._caller, scope)
        await self.app(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller:
        if self._authenticator is None:
            return ANONYMOUS
        try:
            return await self._authenticator.caller(headers_in(scope).getlist("authorization"))
        except NotAuthenticated as refusal:
            self._refusals.note(Refused.CREDENTIALS if refusal.error else Refused.NO_CREDENTIALS)
            raise _unauthorized(refusal) from None
        except Unavailable as error:
            raise Problem(UNAVAILABLE, str(error), headers={"Retry-After": "1"}) from error

    def _counted(self, rate: RateLimit, who: Caller, send: Send) -> Send:
        """``send``, which also says what is left of the limit. Raises Problem 429 if nothing is."""
        is_allowed, left, wait = rate.take(who.id)
        headers = {"RateLimit-Policy": rate.policy, "RateLimit": left}
        if not is_allowed:
            self._refusals.note(Refused.RATE)
            raise Problem(
                TOO_MANY_REQUESTS,
                f"this caller sends more requests than it may. Ask again in {wait} s.",
                headers={**headers, "Retry-After": str(wait)},
            )
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *raw]
            await send(message)

        return counted

    def _check(self, who: Caller, rule: Rule | None) -> None:
        """Raises Problem 403 if ``who`` may not use the route. Without a rule no route answers: 404, or 405."""
        if rule is None or rule.scope is None:
            return
        if not who.may(rule.scope):
            self._refusals.note(Refused.SCOPE)
            raise forbidden(f"this needs the scope {rule.scope}, which the caller does not have", rule.scope)
        if who.user_id is not None and not rule.customers:
            self._refusals.note(Refused.SCOPE)
            raise forbidden("this is not for callers that act for one customer")


def _unauthorized(refusal: NotAuthenticated) -> Problem:
    kind = MALFORMED_REQUEST if refusal.error == "invalid_request" else NOT_AUTHENTICATED
    challenge = CHALLENGE
    if refusal.error:
        # RFC 6750, 3: no other characters may stand there.
        text = re.sub(r"[^ !#-\[\]-~]", "?", str(refusal))
        challenge += f', error="{refusal.error}", error_description="{text}"'
    return Problem(kind, str(refusal), headers={"WWW-Authenticate": challenge})
