"""Hostile requests, drawn from a seed, to the routes that a service describes."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

from verification.requests.exchange import Hostile
from verification.requests.values import (
    BODIES,
    CHUNKS,
    FRAMINGS,
    HEADERS,
    METHODS,
    SMUGGLED,
    TARGETS,
    VALUES,
)


class Requests:
    """Requests to the routes of one OpenAPI document, drawn one after the other."""

    def __init__(self, document: dict[str, Any], host: str, seed: str) -> None:
        self._random, self._host = random.Random(seed), host
        self._calls = [
            (method.upper(), path, operation)
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
        ]
        self._kinds: tuple[Callable[[], Hostile], ...] = (
            self.odd_headers,
            self.odd_body,
            self.odd_target,
            self.odd_chunks,
            self.two_framings,
            self.broken,
            self.piped,
        )

    def drawn(self, count: int) -> Iterator[Hostile]:
        """So many requests."""
        for _ in range(count):
            yield self._random.choice(self._kinds)()

    def slow(self) -> Iterator[Hostile]:
        """Some that come so slowly that the service ends them: they would hold a connection for ever."""
        long = self.head("POST", "/orders", ["Content-Length: 1000", "Content-Type: application/json"])
        chunked = self.head(
            "POST", "/orders", ["Transfer-Encoding: chunked", "Content-Type: application/json"]
        )
        yield Hostile("says nothing", (b"",), ends=False)
        yield Hostile("half a line", (long[:10],), ends=False)
        yield Hostile("headers without end", (long[:-2],), ends=False)
        yield Hostile("a header a second", (long[:-2], *[b"X: y\r\n"] * 60), pause=1.0, ends=False)
        yield Hostile("a body that stops", (long + b"{",), ends=False)
        yield Hostile("a byte of body a second", (long, *[b" "] * 60), pause=1.0, ends=False)
        yield Hostile("a chunk a second", (chunked, *[b"1\r\n \r\n"] * 60), pause=1.0, ends=False)

    def valid(self) -> tuple[str, str, bytes]:
        """Method, target and body of a call as the document shows it."""
        method, path, operation = self._random.choice(self._calls)
        examples = {
            one["name"]: str((one["schema"].get("examples") or ["x"])[0])
            for one in operation.get("parameters", ())
        }
        target = re.sub(r"\{(\w+)\}", lambda found: examples.get(found[1], "x"), path)
        contents: dict[str, Any] = operation.get("requestBody", {}).get("content", {})
        shown: Any = ""
        for content in contents.values():
            named = [one["value"] for one in content.get("examples", {}).values()]
            shown = named[0] if named else content.get("example", "")
        return method, target, (shown if isinstance(shown, str) else json.dumps(shown)).encode()

    def head(self, method: str, target: str, headers: list[str], host: bool = True) -> bytes:
        lines = [f"{method} {target} HTTP/1.1", *([f"Host: {self._host}"] if host else []), *headers, "", ""]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape")

    def odd_headers(self) -> Hostile:
        method, target, body = self.valid()
        chosen = [
            f"{self._random.choice(HEADERS)}: ".encode() + self._random.choice(VALUES)
            for _ in range(self._random.choice((1, 1, 2, 5, 200)))
        ]
        head = self.head(method, target, [f"Content-Length: {len(body)}", "Content-Type: application/json"])
        return Hostile("headers", (head[:-2] + b"\r\n".join(chosen) + b"\r\n\r\n" + body,), most=2)

    def odd_body(self) -> Hostile:
        method, target, _ = self.valid()
        body = self._random.choice(BODIES)
        kind = self._random.choice(
            ("application/json", "application/json", "text/plain", "application/x-ndjson")
        )
        head = self.head(method, target, [f"Content-Length: {len(body)}", f"Content-Type: {kind}"])
        return Hostile("body", (head, body))

    def odd_target(self) -> Hostile:
        target, method = self._random.choice(TARGETS), self._random.choice(METHODS)
        return Hostile("target", (self.head(method, target, [], host=self._random.random() < 0.8),))

    def odd_chunks(self) -> Hostile:
        _, target, _ = self.valid()
        head = self.head("POST", target, ["Transfer-Encoding: chunked", "Content-Type: application/json"])
        return Hostile("chunks", (head, self._random.choice(CHUNKS)), most=2)

    def two_framings(self) -> Hostile:
        """A body that, read one way, holds another request. Whoever reads it that way answers twice."""
        _, target, _ = self.valid()
        body = self._random.choice((b"0\r\n\r\n", b"")) + SMUGGLED
        framing = [line.format(len(body)) for line in self._random.choice(FRAMINGS)]
        head = self.head("POST", target, [*framing, "Content-Type: application/json"])
        return Hostile(f"framing {framing}", (head + body,))

    def broken(self) -> Hostile:
        """A good request of which some bytes are lost, added or changed, and which comes in two pieces."""
        method, target, body = self.valid()
        head = self.head(method, target, [f"Content-Length: {len(body)}", "Content-Type: application/json"])
        raw = bytearray(head + body)
        for _ in range(self._random.randint(1, 5)):
            at, other = self._random.randrange(len(raw)), self._random.randbytes(1)
            end = self._random.choice((at, at + 1, at + self._random.randint(1, 20)))
            raw[at:end] = self._random.choice((b"", other))
        cut = self._random.randint(0, len(raw))
        return Hostile("broken", (bytes(raw[:cut]), bytes(raw[cut:])), pause=0.001, most=4)

    def piped(self) -> Hostile:
        """Many requests at once."""
        count = self._random.choice((2, 10, 50))
        return Hostile("piped", (self.head("GET", "/healthz", []) * count,), most=count)
