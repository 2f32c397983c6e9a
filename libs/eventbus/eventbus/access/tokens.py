"""Access tokens: JSON Web Tokens by RFC 9068, signed by one issuer, for one audience."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from joserfc import jws
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from eventbus.access.api_keys import is_user_id
from eventbus.access.caller import Caller, NotAuthenticated, Scope
from eventbus.access.issuer_keys import SETTING, IssuerKeys, KeysAtUrl, KeysInFile
from eventbus.loopback import is_loopback
from eventbus.model.errors import Misconfigured
from eventbus.settings import AccessSettings

ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
"""What may be allowed. None of them works with a secret that both sides share, and ``none`` is no signature."""
TYPES = ("at+jwt", "application/at+jwt")
LEEWAY = 30
"""Seconds by which the clocks of the issuer and of this machine may differ."""
MAX_VERIFIED = 4_096
"""Tokens that are remembered as verified."""
MAX_SUBJECT = 255


@dataclass(frozen=True, slots=True)
class Trusted:
    """Whose tokens are taken, for whom, and which claim names the customer."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    user_claim: str


@dataclass(frozen=True, slots=True)
class _Verified:
    caller: Caller
    expires: float
    generation: int


class TokenVerifier:
    """Verifies tokens, and remembers the verified ones until they expire or the issuer's keys change."""

    def __init__(self, trusted: Trusted, keys: IssuerKeys, clock: Callable[[], float] = time.time) -> None:
        self._trusted, self._keys, self._clock = trusted, keys, clock
        self._registry = jws.JWSRegistry(algorithms=list(trusted.algorithms), strict_check_header=False)
        self._verified: dict[bytes, _Verified] = {}

    async def caller(self, token: str) -> Caller:
        """Who sent the token. Raises NotAuthenticated, or Unavailable if the issuer's keys are not known."""
        digest = hashlib.sha256(token.encode()).digest()
        keys = await self._keys.keys()
        known = self._verified.get(digest)
        if known is None or known.generation != self._keys.generation:
            claims = await self._claims(token, keys)
            known = _Verified(self._caller(claims), float(claims["exp"]), self._keys.generation)
            if len(self._verified) >= MAX_VERIFIED:
                del self._verified[next(iter(self._verified))]
            self._verified[digest] = known
        if self._clock() >= known.expires + LEEWAY:
            self._verified.pop(digest, None)
            raise NotAuthenticated("the access token has expired")
        return known.caller

    async def watch(self) -> None:
        """Keep the keys of the issuer fresh, for ever."""
        await self._keys.watch()

    async def _claims(self, token: str, keys: KeySet) -> dict[str, Any]:
        try:
            claims = self._verify(token, keys)
        except (InvalidKeyIdError, BadSignatureError):
            # Perhaps the issuer has a new key.
            if not await self._keys.refresh():
                raise NotAuthenticated("the access token is not signed by a key of the issuer") from None
            try:
                claims = self._verify(token, await self._keys.keys())
            except (InvalidKeyIdError, BadSignatureError):
                raise NotAuthenticated("the access token is not signed by a key of the issuer") from None
        self._check(claims)
        return claims

    def _verify(self, token: str, keys: KeySet) -> dict[str, Any]:
        """The claims, signed by one of ``keys``; they are not checked yet."""
        try:
            signed = jws.deserialize_compact(token, keys, registry=self._registry)
            claims = json.loads(signed.payload)
        except (InvalidKeyIdError, BadSignatureError):
            raise
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise NotAuthenticated(
                "the access token is malformed, or signed in a way that is not allowed"
            ) from None
        kind = signed.headers().get("typ")
        if not isinstance(kind, str) or kind.lower() not in TYPES:
            raise NotAuthenticated("the token is not an access token: its type is not at+jwt (RFC 9068)")
        if not isinstance(claims, dict):
            raise NotAuthenticated("the claims of the access token are no object")
        return claims

    def _check(self, claims: dict[str, Any]) -> None:
        now, audience = self._clock(), claims.get("aud")
        if claims.get("iss") != self._trusted.issuer:
            raise NotAuthenticated("the access token is of another issuer")
        if self._trusted.audience not in (audience if isinstance(audience, list) else [audience]):
            raise NotAuthenticated("the access token is for another audience")
        for name in ("exp", "iat"):
            if not _is_time(claims.get(name)):
                raise NotAuthenticated(f"the access token has no valid {name}")
        if not _is_time(claims.get("nbf", 0)):
            raise NotAuthenticated("the nbf of the access token is no time")
        if max(claims["iat"], claims.get("nbf", 0)) > now + LEEWAY:
            raise NotAuthenticated("the access token is not valid yet")
        for name in ("sub", "client_id", "jti"):
            if not isinstance(claims.get(name), str) or not 0 < len(claims[name]) <= MAX_SUBJECT:
                raise NotAuthenticated(f"the access token has no valid {name}")

    def _caller(self, claims: dict[str, Any]) -> Caller:
        """RFC 9068, 2.2: ``sub`` is a person, or, where no person is involved, the client itself."""
        scopes = claims.get("scope", "")
        if not isinstance(scopes, str):
            raise NotAuthenticated("the scope of the access token is no text")
        granted = frozenset(scope for scope in Scope if scope.value in scopes.split(" "))
        issuer, subject = self._trusted.issuer, claims["sub"]
        is_client = subject == claims["client_id"]
        user = None
        if not is_client and Scope.ADMIN not in granted:
            user = claims.get(self._trusted.user_claim)
            if not is_user_id(user):
                raise NotAuthenticated(
                    f"the access token names no customer: its {self._trusted.user_claim} is no user id"
                )
        kind = "service_account" if is_client else "app_user"
        return Caller(f"{issuer}#{quote(subject, safe='')}", kind, granted, user)


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def token_verifier(settings: AccessSettings) -> TokenVerifier:
    """The verifier that the settings ask for. Raises Misconfigured."""
    trusted, place = _trusted(settings), settings.oidc_jwks
    keys: IssuerKeys = KeysAtUrl(_safe(SETTING, place)) if "://" in place else KeysInFile(Path(place))
    return TokenVerifier(trusted, keys)


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
    is_plain = url.isascii() and url.isprintable() and " " not in url
    if not is_safe or not is_plain or not parts.hostname or "@" in parts.netloc or parts.fragment:
        raise Misconfigured(
            f"{setting} is {url!r}: give an https URL without user, password or fragment; "
            "http only for an address of the loopback"
        )
    return url
