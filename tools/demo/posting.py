"""Talks to the system over HTTP: many requests in flight, each repeated until it is answered.

A request carries an ``Idempotency-Key``, so it may be repeated when a service dies in the middle of it.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from tools.stack.settings import credentials

ACCEPTED = 202
PASSING = frozenset({429, 500, 502, 503, 504})


class GaveUp(Exception):
    """A request was not answered in time; the message says which, and what came instead."""


@dataclass(frozen=True)
class Answer:
    """What a POST was answered in the end. ``began`` is when it was first sent (``time.monotonic``, s)."""

    status: int
    body: Mapping[str, Any]
    began: float
    repeats: int
    replayed: bool


class Client:
    """A bounded pool of connections. ``patience``: seconds one request is repeated for at most."""

    def __init__(self, connections: int, patience: float) -> None:
        self._patience = patience
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections),
            timeout=aiohttp.ClientTimeout(total=15),
            headers={"content-type": "application/json", **credentials()},
        )

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def post(self, url: URL, body: bytes, key: str) -> Answer:
        """POST until there is an answer that repeating would not change. Raises GaveUp."""
        began, repeats = time.monotonic(), 0
        while True:
            try:
                async with self._session.post(url, data=body, headers={"Idempotency-Key": key}) as response:
                    text = await response.text()
                    if response.status not in PASSING:
                        replayed = response.headers.get("Idempotent-Replay") == "true"
                        return Answer(response.status, _object(text), began, repeats, replayed)
                    last = f"{response.status} {text[:200]}"
            except (aiohttp.ClientError, TimeoutError) as error:
                last = repr(error)
            if time.monotonic() - began > self._patience:
                raise GaveUp(f"POST {url} was not answered within {self._patience:.0f} s; last came: {last}")
            repeats += 1
            await asyncio.sleep(min(2.0, 0.1 * 2 ** min(repeats, 5)) * random.uniform(0.5, 1.0))

    async def get(self, url: URL) -> Mapping[str, Any] | None:
        """The JSON object at ``url``; None if it cannot be had now."""
        try:
            async with self._session.get(url) as response:
                return _object(await response.text()) if response.status == 200 else None
        except (aiohttp.ClientError, TimeoutError):
            return None


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {"detail": text[:200]}
    return found if isinstance(found, dict) else {"detail": text[:200]}


@dataclass(frozen=True)
class Post:
    """One request to make; ``name`` is what its answer is known by."""

    name: str
    url: URL
    body: bytes
    key: str


def orders(base: str, run: str, bodies: Iterable[tuple[str, bytes]]) -> list[Post]:
    """The POST of each order, known by its invoice's number."""
    url = URL(f"{base}/orders")
    return [Post(number, url, body, f"demo-{run}-{number}") for number, body in bodies]


def adjustments(base: str, run: str, wanted: Mapping[str, int]) -> list[Post]:
    """The POST that puts each product in stock, known by the product."""
    return [
        Post(
            product,
            URL(f"{base}/stock/{quote(product, safe='')}/adjustments", encoded=True),
            json.dumps({"quantity": quantity, "reason": f"demo {run}"}).encode(),
            f"demo-{run}",
        )
        for product, quantity in wanted.items()
    ]


async def send_all(
    client: Client, posts: Iterable[Post], in_flight: int
) -> AsyncIterator[tuple[str, Answer]]:
    """The answers as they come, ``in_flight`` requests at a time. Raises GaveUp."""
    waiting: set[asyncio.Task[tuple[str, Answer]]] = set()

    async def one(post: Post) -> tuple[str, Answer]:
        return post.name, await client.post(post.url, post.body, post.key)

    try:
        for post in posts:
            if len(waiting) >= in_flight:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield task.result()
            waiting.add(asyncio.create_task(one(post)))
        for finished in asyncio.as_completed(list(waiting)):
            yield await finished
    finally:
        for task in waiting:
            task.cancel()
