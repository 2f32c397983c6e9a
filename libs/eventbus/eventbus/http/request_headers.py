"""Request headers that services read: Prefer (RFC 7240), If-None-Match (RFC 9110), Idempotency-Key, tracing."""

from __future__ import annotations

import re
from typing import Any, TypedDict

from starlette.datastructures import Headers
from starlette.types import Scope

from eventbus.http.problem_types import IDEMPOTENCY_KEY_REUSED
from eventbus.http.problems import Problem, invalid

IDEMPOTENCY_KEY = "Idempotency-Key"

_WAIT = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?([0-9]{1,6})"?\s*(?=$|[,;])', re.IGNORECASE)
_KEY = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?")
_TRACE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_CORRELATION = re.compile(r"[\x21-\x7e]{1,200}")


class IndexedHeaders(Headers):
    """The headers of a request, found by name instead of by a walk over all of them."""

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        super().__init__(raw=raw)
        by_name = dict(raw)
        self._by_name = by_name if len(by_name) == len(raw) else None
        """None if a name is there more than once: then all are walked over."""

    def get(self, key: str, default: Any = None) -> Any:
        """The first value of a name."""
        if self._by_name is None:
            return super().get(key, default)
        value = self._by_name.get(key.lower().encode("latin-1"))
        return default if value is None else value.decode("latin-1")

    def getlist(self, key: str) -> list[str]:
        """All values of a name, in their order."""
        if self._by_name is None:
            return super().getlist(key)
        value = self._by_name.get(key.lower().encode("latin-1"))
        return [] if value is None else [value.decode("latin-1")]


def headers_in(scope: Scope) -> Headers:
    """The headers of an ASGI request; those who ask for them later get the same object."""
    found: Headers | None = scope.get("eventbus.headers")
    if found is None:
        found = scope["eventbus.headers"] = IndexedHeaders(scope["headers"])
    return found


class Trace(TypedDict):
    """Arguments of ``Bus.send`` that link a command to what its client did before."""

    correlation_id: str | None
    traceparent: str | None


def preferred_wait(headers: Headers) -> int | None:
    """Seconds of ``Prefer: wait=5``, or None. A preference that is not understood is no error.

    Several such headers are one list. Of two waits the first counts (RFC 7240, 2).
    """
    preferences = headers.getlist("prefer")
    match = _WAIT.search(", ".join(preferences)) if preferences else None
    return int(match[1]) if match else None


def idempotency_key(headers: Headers) -> str | None:
    """The Idempotency-Key, or None without that header.

    Raises Problem 422 unless it is given once and has 1 to 255 printable ASCII characters.
    """
    keys = headers.getlist(IDEMPOTENCY_KEY)
    if len(keys) > 1:
        raise invalid([(IDEMPOTENCY_KEY, "must be given once")])
    if keys and not is_idempotency_key(keys[0]):
        raise invalid([(IDEMPOTENCY_KEY, "must be 1 to 255 printable ASCII characters")])
    return keys[0] if keys else None


def is_idempotency_key(text: str) -> bool:
    """Whether a text can be the value of an Idempotency-Key."""
    return _KEY.fullmatch(text) is not None


def key_reused(message: str) -> Problem:
    """422: the caller sent another request with this key. ``message`` must not tell of the first one."""
    return invalid([(IDEMPOTENCY_KEY, message)], IDEMPOTENCY_KEY_REUSED)


def matches(headers: Headers, etag: str) -> bool:
    """Whether ``If-None-Match`` names ``etag``: then the client has this version already."""
    known = headers.get("if-none-match")
    if not known:
        return False
    return known.strip() == "*" or etag in [one.strip().removeprefix("W/") for one in known.split(",")]


def trace(headers: Headers) -> Trace:
    """``X-Correlation-ID`` and the W3C ``traceparent``, each None unless it is well-formed."""
    correlation, parent = headers.get("x-correlation-id"), headers.get("traceparent")
    return {
        "correlation_id": correlation if correlation and _CORRELATION.fullmatch(correlation) else None,
        "traceparent": parent if parent and _TRACE.fullmatch(parent) else None,
    }
