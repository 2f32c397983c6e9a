"""Client calls that may never return, made on a thread that can be left behind.

A broker that stood still for longer than its session names no broker for a moment when it goes on. librdkafka (2.16)
then gives up its connections; a transactional call that was looking for a coordinator is never woken, whatever its
timeout (see also its issues #5456 and #5511), or times out again and again. A fresh producer connects at once. So
such a call is given up soon after the brokers answer again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from eventbus.model.errors import NeedsRestart

T = TypeVar("T")
log = logging.getLogger("eventbus.guard")
GRACE = 1.0
"""Seconds that a call has to come back while the brokers answer, the first time; doubled while it does not help. They
must answer all the time: a broker that resumes may answer at once, and only then learn that it leads nothing."""
LONGEST = 16.0
LOOK_EVERY = 0.1
LEFT_BEHIND = 8
"""Calls that may be left behind and still run: each keeps a client. More of them end the process."""


class Stuck(Exception):
    """The call does not return although the brokers answer. It is not known whether it had its effect."""


class Guard:
    """Makes calls on a thread of its own. ``hears`` asks a broker something, and is true if it answers in time."""

    def __init__(self, hears: Callable[[], bool], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._hears, self._monotonic = hears, monotonic
        self._thread: _Caller | None = None
        self._left: list[_Caller] = []
        self._ghosts = 0
        self._grace = GRACE

    def __call__(self, call: Callable[..., T], *args: Any, grace: float = 0.0) -> T:
        """What the call returns or raises. Raises Stuck if it does neither, NeedsRestart if that happens too often.

        ``grace``: seconds that this call is given at least while the brokers answer.
        """
        if self._thread is None:
            self._thread = _Caller()
            self._thread.start()
        asked: _Call[T] = _Call(call, args)
        self._thread.calls.put(asked)
        heard_at: float | None = None
        while not asked.done.wait(LOOK_EVERY):
            if not self._hears():
                heard_at = None
            elif heard_at is None:
                heard_at = self._monotonic()
            elif self._monotonic() - heard_at > (allowed := max(self._grace, grace)):
                self._leave(asked, allowed)
        return asked.result()

    def well(self) -> None:
        """A transaction has committed: the next call that hangs is given up as soon as the first."""
        self._grace = GRACE

    def ghost(self) -> bool:
        """Whether a call that was left behind may have fenced the producer that took over: each may, once, if it went
        through after all."""
        self._ghosts, found = max(0, self._ghosts - 1), self._ghosts > 0
        return found

    def _leave(self, asked: _Call[Any], allowed: float) -> None:
        assert self._thread is not None
        self._thread.calls.put(None)
        self._left = [thread for thread in [*self._left, self._thread] if thread.is_alive()]
        self._thread, self._ghosts = None, self._ghosts + 1
        problem = f"{asked.name} did not come back although the brokers answer, for {allowed:g} s"
        self._grace = min(self._grace * 2, LONGEST)
        if len(self._left) > LEFT_BEHIND:
            raise NeedsRestart(f"{problem}, and {LEFT_BEHIND} calls before it have not yet")
        raise Stuck(problem)


class _Call(Generic[T]):
    def __init__(self, call: Callable[..., T], args: tuple[Any, ...]) -> None:
        self._call, self._args = call, args
        called = args[0] if args and callable(args[0]) else call
        self.name = getattr(called, "__name__", str(called))
        self.done = threading.Event()
        self._value: T
        self._error: BaseException | None = None

    def make(self) -> None:
        try:
            self._value = self._call(*self._args)
        except BaseException as error:
            self._error = error
        self.done.set()

    def result(self) -> T:
        if (error := self._error) is None:
            return self._value
        # An error that held its call, and so the client, in a cycle would keep the client alive for long.
        self._error = None
        try:
            raise error
        finally:
            del error


class _Caller(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="transactions", daemon=True)
        self.calls: SimpleQueue[_Call[Any] | None] = SimpleQueue()

    def run(self) -> None:
        while (call := self.calls.get()) is not None:
            call.make()
            del call
