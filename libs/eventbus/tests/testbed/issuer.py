"""An issuer of access tokens: its keys, the tokens that it signs, and a server for its public keys."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from joserfc import jws
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

ISSUER, AUDIENCE = "https://issuer.example.org", "orders"
REGISTRY = jws.JWSRegistry(algorithms=list(jws.JWSRegistry.algorithms), strict_check_header=False)


class Issuer:
    """Signs with RSA, EC and Ed25519 keys, which have these names."""

    def __init__(self, generation: int = 1) -> None:
        self.keys: dict[str, Any] = {
            "RS256": RSAKey.generate_key(2048, {"kid": f"rsa-{generation}", "use": "sig"}),
            "ES256": ECKey.generate_key("P-256", {"kid": f"ec-{generation}", "use": "sig"}),
            "EdDSA": OKPKey.generate_key("Ed25519", {"kid": f"ed-{generation}", "use": "sig"}),
        }

    def public(self) -> bytes:
        """Its JWK Set."""
        return json.dumps(KeySet(list(self.keys.values())).as_dict(private=False)).encode()

    def token(self, algorithm: str = "RS256", header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token that is valid for an hour, but for what the arguments say; None leaves a claim out."""
        key = self.keys[algorithm]
        head = {"alg": algorithm, "typ": "at+jwt", "kid": key.kid, **(header or {})}
        return sign(
            {name: value for name, value in head.items() if value is not None}, self.claims(**claims), key
        )

    @staticmethod
    def claims(**claims: Any) -> dict[str, Any]:
        now = int(time.time())
        all_claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "u1",
            "client_id": "app",
            "jti": "t1",
            "iat": now,
            "exp": now + 3600,
            "scope": "place read",
            **claims,
        }
        return {name: value for name, value in all_claims.items() if value is not None}


def sign(header: dict[str, Any], claims: Any, key: Any) -> str:
    """A token of any header, claims and key."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return jws.serialize_compact(header, payload, key, registry=REGISTRY)


class KeyServer:
    """What the URL of the keys answers, and how often it was asked."""

    def __init__(self, content: bytes) -> None:
        self.content, self.status, self.asked, self.url = content, 200, 0, ""
        self._asked = asyncio.Condition()

    async def was_asked(self, times: int) -> None:
        """Return once it was asked so often."""
        async with self._asked:
            await self._asked.wait_for(lambda: self.asked >= times)

    async def answer(self, _: web.Request) -> web.Response:
        async with self._asked:
            self.asked += 1
            self._asked.notify_all()
        return web.Response(body=self.content, status=self.status, content_type="application/json")


@asynccontextmanager
async def key_server(content: bytes) -> AsyncIterator[KeyServer]:
    """A server on the loopback."""
    server = KeyServer(content)
    app = web.Application()
    app.router.add_get("/jwks", server.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks"
        yield server
    finally:
        await runner.cleanup()
