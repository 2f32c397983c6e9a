"""All requests share the event loop: work that costs much CPU is done in slices, for one request at a time.

A thread would not help: it holds the interpreter all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")
SlicedWork = Generator[None, None, T]
"""Work that yields wherever it may be interrupted, every few hundred microseconds, and returns its result."""

SMALL = 16_384
"""Bytes of a request, or an answer, whose work is too little to be interrupted."""
SLICE = 0.005
"""Seconds of a slice; a single step, such as parsing JSON, may take longer."""


class Slices:
    """Works for one large request at a time. After a slice the loop is free for as long as the slice took."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._free_at = 0.0

    async def take(self, work: SlicedWork[T], size: int) -> T:
        """The result of ``work`` for a request, or an answer, of ``size`` bytes."""
        if size <= SMALL:
            return at_once(work)
        async with self._lock:
            while True:
                # Also where there is nothing to wait for: others that are ready run first.
                await asyncio.sleep(max(0.0, self._free_at - perf_counter()))
                began = perf_counter()
                try:
                    while perf_counter() - began < SLICE:
                        next(work)
                except StopIteration as end:
                    result: T = end.value
                    return result
                finally:
                    now = perf_counter()
                    self._free_at = now + (now - began)


def at_once(work: SlicedWork[T]) -> T:
    """The result of ``work``, without a break."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
