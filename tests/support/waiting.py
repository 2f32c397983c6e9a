"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(probe: Callable[[], T], what: str, timeout: float = 60.0, every: float = 0.05) -> T:
    """Ask ``probe`` until its answer is truthy, and return that; fails after ``timeout`` seconds.

    An AssertionError raised by ``probe`` counts as "not yet" and is what a timeout reports.
    """
    deadline = time.monotonic() + timeout
    while True:
        doubt: AssertionError | None = None
        try:
            answer = probe()
        except AssertionError as error:
            doubt, answer = error, None
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}") from doubt
        time.sleep(every)
