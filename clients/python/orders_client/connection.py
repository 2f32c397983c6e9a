"""Requests to one service: who asks, and when a request is sent again.

    2xx                                          the answer
    429 or 503 with Retry-After                  sent again after these seconds
    502, 503 or 504 of a gateway (no problem)    sent again after a pause
    no answer, no whole answer                   sent again after a pause
    any other                                    ProblemAnswer

All requests may be repeated: those that change something carry an idempotency key (IETF draft 07), or change nothing
the second time. The client goes on for ``patience`` seconds, then it raises NoAnswer, or the last ProblemAnswer.
"""

from __future__ import annotations

import asyncio
import json as jsonlib
import random
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Self

import aiohttp
from yarl import URL

from orders_client.errors import NoAnswer, OrdersError, ProblemAnswer

Token = str | Callable[[], str | Awaitable[str]]
"""A bearer token, or what gives one before each request: so a token that expires is renewed in time."""

PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds before a request is sent again, drawn between zero and a bound that doubles each time."""
PROBLEM = "application/problem+json"
OF_A_GATEWAY = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class Later:
    """Why a request is sent again, and after how many seconds if the service names some."""

    error: OrdersError
    seconds: float | None = None


class Pauses:
    """The seconds to wait before each further attempt, until the patience is over."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.reset()

    def reset(self) -> None:
        """An attempt went well: the next failure is the first one again."""
        self._ends, self._longest = time.monotonic() + self._patience, PAUSE

    async def wait(self, later: Later) -> None:
        """Wait. Raises what went wrong if the patience would be over before."""
        seconds = random.uniform(0, self._longest) if later.seconds is None else later.seconds
        if time.monotonic() + seconds > self._ends:
            raise later.error
        self._longest = min(self._longest * 2, LONGEST_PAUSE)
        await asyncio.sleep(seconds)


class Connection:
    """A pool of connections to the service at ``url``. Times in seconds; ``timeout`` is that of one attempt."""

    def __init__(
        self,
        url: str,
        *,
        token: Token | None,
        timeout: float,
        patience: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url, self._token, self._tls = url.rstrip("/"), token, tls
        self._timeout, self.patience = timeout, patience
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the pool. A later request opens another."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        longer: float = 0.0,
    ) -> Any:
        """The answer to a request, as JSON. ``path`` is percent-encoded; ``longer``: seconds beside the timeout.

        Raises ProblemAnswer and NoAnswer.
        """
        pauses = Pauses(self.patience)
        data = None if json is None else jsonlib.dumps(json).encode()
        typed = {"Content-Type": "application/json"} if data is not None else {}
        while True:
            try:
                async with self.opened(
                    method, path, query=query, headers={**typed, **(headers or {})}, data=data, longer=longer
                ) as response:
                    if succeeded(response):
                        return await response.json()
                    later = await refusal(response)
            except (aiohttp.ClientError, TimeoutError) as error:
                later = unanswered(method, path, error)
            await pauses.wait(later)

    @asynccontextmanager
    async def opened(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        longer: float = 0.0,
        silence: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response to one request, its body not read yet.

        ``silence``: instead of a timeout, the longest time without a byte of the answer.
        """
        timeout = (
            aiohttp.ClientTimeout(total=self._timeout + longer)
            if silence is None
            else aiohttp.ClientTimeout(total=None, sock_connect=self._timeout, sock_read=silence)
        )
        async with self._pool().request(
            method,
            # A path that is encoded already: a slash in an id is %2F.
            URL(f"{self._url}{path}", encoded=True).with_query(_texts(query or {})),
            headers={**(headers or {}), **await self._authorization()},
            data=data,
            timeout=timeout,
            allow_redirects=False,
        ) as response:
            yield response

    async def _authorization(self) -> dict[str, str]:
        if self._token is None:
            return {}
        token = self._token if isinstance(self._token, str) else self._token()
        return {"Authorization": f"Bearer {token if isinstance(token, str) else await token}"}

    def _pool(self) -> aiohttp.ClientSession:
        # Opened here and not at construction: a session belongs to the event loop that runs it.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), connector=aiohttp.TCPConnector(ssl=self._tls or True)
            )
        return self._session


def succeeded(response: aiohttp.ClientResponse) -> bool:
    """Whether it is the answer that was asked for. One that leads elsewhere is not: the token is not for others."""
    return 200 <= response.status < 300


async def refusal(response: aiohttp.ClientResponse) -> Later:
    """What an answer that is no success says: when to come back. Raises ProblemAnswer if it does not help to."""
    if response.content_type != PROBLEM:
        if response.status in OF_A_GATEWAY:
            return Later(NoAnswer(f"a gateway answered {response.status}"), _seconds(response))
        title = response.reason or "no reason given"
        raise ProblemAnswer({"type": "about:blank", "title": title, "status": response.status})
    error = ProblemAnswer(await response.json(content_type=PROBLEM))
    seconds = _seconds(response)
    if response.status in (429, 503) and seconds is not None:
        return Later(error, seconds)
    raise error


def unanswered(method: str, path: str, error: Exception) -> Later:
    """There was no answer, or no whole one."""
    return Later(NoAnswer(f"{method} {path}: no answer ({type(error).__name__}: {error})"))


def _seconds(response: aiohttp.ClientResponse) -> float | None:
    """``Retry-After``: a number of seconds, or a date (RFC 9110, 10.2.3). None if it is neither."""
    text = response.headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _texts(query: Mapping[str, Any]) -> dict[str, str]:
    """The parameters that are given."""
    return {name: str(value) for name, value in query.items() if value is not None}
