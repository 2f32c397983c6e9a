"""An HTTP client for reactors. It asks another system, and raises what the retries of a reactor understand.

    2xx, or a status that the caller reads itself     HttpAnswer
    408, 409, 425, 429                                Retryable: it may pass
    any other 4xx                                     Poison: the request is wrong, and nothing was done
    any other status, no answer, no whole answer      Retryable: what the other system did is unknown

Errors become dead letters that people read. So they hold the URL, the status and the start of the answer, and never
the value of ``authorization``.
"""

from __future__ import annotations

import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from eventbus.model.errors import Poison, Retryable

TRANSIENT = frozenset({408, 409, 425, 429})
"""Client errors that may pass: a timeout, the same request still in progress, too early, too many requests."""
MAX_ANSWER = 1_000_000
"""Bytes of an answer, unpacked. A longer one counts as no answer."""
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What the other system answered. ``headers`` are found in any case of letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as UTF-8; what is not UTF-8 is replaced."""
        return self.body.decode("utf-8", "replace")


class HttpClient:
    """One pool of at most ``connections``, opened by the first request. A request has ``timeout`` seconds in all.

    ``url`` is what the paths of all requests begin with. ``authorization`` is the value of that header. ``tls``: whom
    to trust, and with which certificate to be trusted, where that is not what the system says. Raises ValueError for
    a URL that is not http or https, or that holds a user or a password.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        connections: int = 100,
        authorization: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        parts = URL(url)
        if parts.scheme not in ("http", "https") or not parts.host:
            raise ValueError("the URL of an HttpClient must be one such as https://api.example.org/v1")
        if parts.user is not None or parts.password is not None:
            raise ValueError("the URL of an HttpClient must not hold user and password: use `authorization`")
        self._url, self._timeout, self._connections = url.rstrip("/"), timeout, connections
        self._authorization, self._tls = authorization, tls
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        expected: Collection[int] = (),
    ) -> HttpAnswer:
        """Send one request. ``path`` begins with a slash and is percent-encoded (``urllib.parse.quote``).

        ``expected``: statuses beside 2xx that the caller reads itself. Raises Retryable or Poison, as above.
        """
        asked = f"{method} {self._url}{path}"
        try:
            answer = await self._exchange(method, path, json, headers)
        except (aiohttp.ClientError, TimeoutError) as error:
            # Not repr(): that of aiohttp's errors shows the request's headers, credentials included.
            raise Retryable(
                self.without_credentials(f"{asked}: no answer ({type(error).__name__}: {error})")
            ) from None
        if 200 <= answer.status < 300 or answer.status in expected:
            return answer
        message = self.without_credentials(f"{asked} was answered {answer.status}: {answer.text[:_SHOWN]!r}")
        if 400 <= answer.status < 500 and answer.status not in TRANSIENT:
            raise Poison(message)
        raise Retryable(message)

    async def close(self) -> None:
        """Close the pool. A later request opens another."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _exchange(
        self, method: str, path: str, json: Any, headers: Mapping[str, str] | None
    ) -> HttpAnswer:
        url = URL(f"{self._url}{path}", encoded=True)
        async with self._pool().request(method, url, json=json, headers=headers) as response:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MAX_ANSWER:
                    raise aiohttp.ClientPayloadError(f"the answer is longer than {MAX_ANSWER} bytes")
            return HttpAnswer(response.status, response.headers, bytes(body))

    def _pool(self) -> aiohttp.ClientSession:
        # Opened here and not at construction: a session belongs to the event loop that runs it.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers={"Authorization": self._authorization} if self._authorization else None,
                timeout=aiohttp.ClientTimeout(total=self._timeout),
                connector=aiohttp.TCPConnector(limit=self._connections, ssl=self._tls or True),
            )
        return self._session

    def without_credentials(self, text: str) -> str:
        """``text``, fit for an error: an answer may repeat the credentials that it was asked with."""
        if self._authorization is None:
            return text
        secret = self._authorization.partition(" ")[2] or self._authorization
        return text.replace(secret, "***")
