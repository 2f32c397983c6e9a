"""Who sends a request: its API key or access token, as ``Authorization: Bearer`` (RFC 6750)."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from eventbus.access.api_keys import Keys, find_key, parse_keys
from eventbus.access.caller import Caller, NotAuthenticated
from eventbus.access.watched_file import WatchedFile
from eventbus.model.errors import Misconfigured
from eventbus.settings import AccessSettings

MAX_TOKEN = 16_384
"""Characters of a token. The headers of a request are bounded too."""
LOOK_EVERY = 1.0
"""Seconds between two looks at the file of API keys. A change is in force after two looks."""
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE)


class Tokens(Protocol):
    """Knows the callers with access tokens, as :class:`~eventbus.access.tokens.TokenVerifier` does."""

    async def caller(self, token: str) -> Caller:
        """Who sent the token. Raises NotAuthenticated, or Unavailable."""
        ...

    async def watch(self) -> None:
        """Keep the keys fresh, for ever."""
        ...


class Authenticator:
    """Knows the callers. :meth:`watch` has to run beside it."""

    def __init__(
        self,
        keys: WatchedFile[Keys] | None,
        tokens: Tokens | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys, self._tokens, self._clock = keys, tokens, clock

    async def caller(self, authorization: Sequence[str]) -> Caller:
        """The caller that the values of the header name.

        Raises NotAuthenticated, or Unavailable while the keys of the issuer are not known.
        """
        token = bearer(authorization)
        if self._keys and (found := find_key(self._keys.value, token, self._clock())):
            return found
        if self._tokens is None or token.count(".") != 2:
            raise NotAuthenticated("the key is unknown, or no longer valid")
        return await self._tokens.caller(token)

    async def watch(self) -> None:
        """Take in changed keys, for ever."""
        async with asyncio.TaskGroup() as group:
            if self._tokens:
                group.create_task(self._tokens.watch())
            while self._keys:
                await asyncio.sleep(LOOK_EVERY)
                await asyncio.to_thread(self._keys.look)


def bearer(authorization: Sequence[str]) -> str:
    """The token of the header's values. Raises NotAuthenticated."""
    if not authorization:
        raise NotAuthenticated("send an API key or an access token, as `Authorization: Bearer ...`", "")
    if len(authorization) > 1:
        raise NotAuthenticated("the Authorization header must be there once", "invalid_request")
    if len(authorization[0]) > MAX_TOKEN:
        raise NotAuthenticated(f"a token has at most {MAX_TOKEN} characters")
    match = _BEARER.fullmatch(authorization[0])
    if match is None:
        is_bearer = authorization[0].lower().startswith("bearer")
        raise NotAuthenticated(
            "expected `Authorization: Bearer` and a token", "invalid_token" if is_bearer else ""
        )
    return match[1]


def authenticator(settings: AccessSettings) -> Authenticator | None:
    """What the settings ask for; None if access control is off. Raises Misconfigured."""
    oidc = (settings.oidc_issuer, settings.oidc_audience, settings.oidc_jwks)
    if any(oidc) and not all(oidc):
        raise Misconfigured(
            "EVENTBUS_OIDC_ISSUER, EVENTBUS_OIDC_AUDIENCE and EVENTBUS_OIDC_JWKS belong together"
        )
    keys = None
    if settings.api_keys_file:
        keys = WatchedFile("EVENTBUS_API_KEYS_FILE", settings.api_keys_file, parse_keys)
    if not any(oidc):
        return Authenticator(keys, None) if keys else None
    # Imported only where there is an issuer: cryptography and the HTTP client cost each start much time and memory.
    from eventbus.access.tokens import token_verifier

    return Authenticator(keys, token_verifier(settings))
