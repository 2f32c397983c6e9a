"""The public keys of an issuer of access tokens (a JWK Set, RFC 7517), from a file or a URL."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet

from eventbus.access.api_keys import BrokenFile
from eventbus.access.watched_file import WatchedFile
from eventbus.http_client import HttpClient
from eventbus.metrics import ACCESS_BROKEN
from eventbus.model.errors import EventBusError, Unavailable

log = logging.getLogger("eventbus.access")

SETTING = "EVENTBUS_OIDC_JWKS"
MAX_KEYS = 100
MIN_RSA_BITS = 2_048
REFRESH_EVERY = 300.0
"""Seconds after which keys are fetched again."""
ASK_AGAIN = 10.0
"""Seconds between two requests to the issuer, at least: also while tokens name keys that nobody knows."""
KEEP = 86_400.0
"""Seconds for which keys serve while the issuer does not answer."""
LOOK_EVERY = 1.0
"""Seconds between two looks whether a file has changed, or a fetch is due."""
TIMEOUT = 5.0
"""Seconds that the issuer has for its answer."""


class IssuerKeys(Protocol):
    """Where the keys are from."""

    @property
    def generation(self) -> int:
        """It changes whenever the keys do."""
        ...

    async def keys(self) -> KeySet:
        """The keys. Raises Unavailable if none are known."""
        ...

    async def refresh(self) -> bool:
        """Look for newer keys, for a token that names none of these. False if that was done just now."""
        ...

    async def watch(self) -> None:
        """Keep the keys fresh, for ever."""
        ...


def parse_key_set(content: bytes) -> KeySet:
    """The public keys that verify signatures. Raises BrokenFile. Others in the set are passed over (RFC 7517, 5)."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BrokenFile("it is not JSON") from error
    members = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(members, list) or len(members) > MAX_KEYS:
        raise BrokenFile(
            f"expected a JSON Web Key Set of at most {MAX_KEYS} keys: an object with a list `keys`"
        )
    keys = [key for member in members if (key := _verifying(member)) is not None]
    if not keys:
        raise BrokenFile(
            "it has no key that can verify a signature: expected kty RSA (2048 bits or more), EC or OKP"
        )
    return KeySet(keys)


def _verifying(member: object) -> Key | None:
    """A key of a set, or None. A shared secret (``oct``) is none: whoever verifies with it could sign with it."""
    if not isinstance(member, dict) or member.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    if member.get("use", "sig") != "sig":
        return None
    try:
        key = JWKRegistry.import_key(member)
        key.check_key_op("verify")
        size = getattr(key.public_key, "key_size", MIN_RSA_BITS)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return None if member["kty"] == "RSA" and size < MIN_RSA_BITS else key


class KeysInFile:
    """Keys from a file, which is read again when it changes."""

    def __init__(self, path: Path) -> None:
        """Raises Misconfigured."""
        self._file = WatchedFile(SETTING, path, parse_key_set)

    @property
    def generation(self) -> int:
        return self._file.generation

    async def keys(self) -> KeySet:
        return self._file.value

    async def refresh(self) -> bool:
        return False

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            await asyncio.to_thread(self._file.look)


class KeysAtUrl:
    """Keys from a URL. They are fetched again now and then, and when a token names one that is not among them."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url, self._clock = url, clock
        self._client = HttpClient(url, timeout=TIMEOUT, connections=1)
        self.generation = 0
        self._keys: KeySet | None = None
        self._content = b""
        self._fetched_at = self._asked_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def keys(self) -> KeySet:
        if self._keys is None:
            await self.refresh()
        if self._keys is None or self._clock() - self._fetched_at > KEEP:
            raise Unavailable("the keys of the issuer of access tokens cannot be had: ask again in a moment")
        return self._keys

    async def refresh(self) -> bool:
        if self._fetching is None:
            if self._clock() - self._asked_at < ASK_AGAIN:
                return False
            self._asked_at = self._clock()
            self._fetching = asyncio.create_task(self._fetch())
        # One that waits and is cancelled must not end the fetch that others wait for.
        await asyncio.shield(self._fetching)
        return True

    async def watch(self) -> None:
        try:
            while True:
                if self._clock() - self._fetched_at >= REFRESH_EVERY:
                    await self.refresh()
                await asyncio.sleep(LOOK_EVERY)
        finally:
            await self._client.close()

    async def _fetch(self) -> None:
        try:
            answer = await self._client.request("GET", "")
            keys = parse_key_set(answer.body)
        except (EventBusError, BrokenFile) as error:
            ACCESS_BROKEN.labels(SETTING).set(1)
            log.error("%s: %s: %s; the keys of before stay in force for a day", SETTING, self._url, error)
        else:
            ACCESS_BROKEN.labels(SETTING).set(0)
            self._fetched_at = self._clock()
            if answer.body != self._content:
                self._keys, self._content = keys, answer.body
                self.generation += 1
        finally:
            self._fetching = None
