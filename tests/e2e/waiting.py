"""Waiting for what must become true, with a deadline instead of a guess."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import httpx

T = TypeVar("T")
PAUSE = 0.05


def until(condition: Callable[[], T | None], timeout: float, what: str) -> T:
    """The first truthy answer of ``condition`` within ``timeout`` seconds; nobody listening counts as not yet."""
    deadline = time.monotonic() + timeout
    last: object = None
    while True:
        try:
            last = found = condition()
            if found:
                return found
        except httpx.TransportError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}; last seen: {last!r}")
        time.sleep(PAUSE)
