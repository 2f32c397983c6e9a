"""Who sends a request: its API key or access token, as ``Authorization: Bearer`` (RFC 6750)."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from eventbus.access.api_keys import Keys, find_key, parse_keys
from eventbus.access.caller import Caller
from eventbus.access.issuer_keys import SETTING, IssuerKeys, KeysAtUrl, KeysInFile
from eventbus.access.tokens import ALGORITHMS, BadToken, TokenVerifier, Trusted
from eventbus.access.watched_file import WatchedFile
from eventbus.loopback import is_loopback
from eventbus.model.errors import Misconfigured
from eventbus.settings import AccessSettings

MAX_TOKEN = 16_384
"""Characters of a token. The headers of a request are bounded too."""
LOOK_EVERY = 1.0
"""Seconds between two looks at the file of API keys. A change is in force after two looks."""
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE)


class NotAuthenticated(Exception):
    """Nobody knows who sent the request. ``error`` and the message are for the client (RFC 6750, 3.1).

    ``error`` is empty if the request has no credentials, and ``invalid_request`` if it is malformed.
    """

    def __init__(self, message: str, error: str = "invalid_token") -> None:
        super().__init__(message)
        self.error = error


class Authenticator:
    """Knows the callers. :meth:`watch` has to run beside it."""

    def __init__(
        self,
        keys: WatchedFile[Keys] | None,
        tokens: TokenVerifier | None,
        issuer_keys: IssuerKeys | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys, self._tokens, self._issuer_keys, self._clock = keys, tokens, issuer_keys, clock

    async def caller(self, authorization: Sequence[str]) -> Caller:
        """The caller that the values of the header name.

        Raises NotAuthenticated, or Unavailable while the keys of the issuer are not known.
        """
        token = bearer(authorization)
        if self._keys and (found := find_key(self._keys.value, token, self._clock())):
            return found
        if self._tokens is None or token.count(".") != 2:
            raise NotAuthenticated("the key is unknown, or no longer valid")
        try:
            return await self._tokens.caller(token)
        except BadToken as error:
            raise NotAuthenticated(str(error)) from error

    async def watch(self) -> None:
        """Take in changed keys, for ever."""
        async with asyncio.TaskGroup() as group:
            if self._issuer_keys:
                group.create_task(self._issuer_keys.watch())
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
    trusted = _trusted(settings)
    place = settings.oidc_jwks
    issuer_keys: IssuerKeys = KeysAtUrl(_safe(SETTING, place)) if "://" in place else KeysInFile(Path(place))
    return Authenticator(keys, TokenVerifier(trusted, issuer_keys), issuer_keys)


def _trusted(settings: AccessSettings) -> Trusted:
    names = tuple(name.strip() for name in settings.oidc_algorithms.split(",") if name.strip())
    if not names or (unknown := set(names) - set(ALGORITHMS)):
        raise Misconfigured(
            f"EVENTBUS_OIDC_ALGORITHMS has {', '.join(sorted(unknown)) if names else 'none'}: "
            f"name some of {', '.join(ALGORITHMS)}"
        )
    issuer = _safe("EVENTBUS_OIDC_ISSUER", settings.oidc_issuer)
    return Trusted(issuer, settings.oidc_audience, names, settings.oidc_user_claim)


def _safe(setting: str, url: str) -> str:
    """A URL that nobody on the way can answer for. Raises Misconfigured."""
    parts = urlsplit(url)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if not is_safe or not parts.hostname or "@" in parts.netloc or parts.fragment:
        raise Misconfigured(
            f"{setting} is {url!r}: give an https URL without user, password or fragment; "
            "http only for an address of the loopback"
        )
    return url
