"""How much is too much: when a new order is refused with 429 and Retry-After, so that those accepted stay quick.

An order is refused while one of these holds, as far as this replica knows (it folds all partitions):

- more than ``ORDER_MAX_UNDECIDED`` commands are not decided yet: the order service itself is behind;
- an order would wait longer than ``ORDER_MAX_LAG`` seconds to settle: open orders divided by the pace at which orders
  settle. Fewer than ``FEW`` are never too many. While next to nothing settles, as when the gateway is away, and in
  the first moments after it, the pace says nothing and orders are taken in;
- more than ``ORDER_MAX_OPEN`` orders are open;
- more than ``ORDER_MAX_LINES`` lines of orders wait for inventory: one order of 2,000 lines is as much work as 2,000.

*Open* is accepted and not settled; orders that are held, in their retries or for a person, do not count. What is
refused is not written to Kafka. A repeat of an order that was accepted is answered, not refused.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from prometheus_client import Counter, Gauge
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from eventbus import Bus, Unavailable
from eventbus.http import Problem
from schemas import CreateOrder
from services.order.settings import OrderSettings
from services.order.timeline import Timeline

FEW = 1_000
"""Open orders that are never too many."""
LOOK_EVERY = 0.25
"""Seconds between two looks at the tally."""
PACE_OVER = 10.0
"""Seconds over which the pace is measured: the best of any stretch of a second or more up to now."""
STANDSTILL = 2.0
"""After so many seconds in which nothing settled, the pace says nothing ..."""
AGAIN = 3.0
"""... and not until orders have settled again for so many."""
USUAL = 0.1
"""Nor does a pace that is less than this share of the best one known."""
FADES = 600.0
"""Seconds in which the best pace known fades by half."""
LONGEST = 60
"""Of Retry-After, in seconds."""

LINES_AGAIN = 5
"""Retry-After, in seconds, while too many lines wait."""

LINES = Gauge(
    "order_lines_waiting", "Lines of orders whose reservation inventory has not answered, all partitions"
)
OPEN = Gauge("order_open", "Orders accepted and neither settled nor held, all partitions")
PACE = Gauge("order_settled_per_second", "Orders settled a second, over the last ten seconds")
REFUSED = Counter("order_refused_for_load", "Orders answered 429", ["reason"])


class Look(NamedTuple):
    """The tally at one moment: ``at`` in s (monotonic), orders settled in all."""

    at: float
    settled: int


@dataclass(frozen=True)
class TooMuch:
    """Why an order is refused, and when (s) it is worth asking again."""

    reason: str
    detail: str
    retry_after: int

    def problem(self) -> Problem:
        """429, as problem+json."""
        headers = {"Retry-After": str(self.retry_after)}
        return Problem(429, "Too many orders", self.detail, headers=headers)


class Admission:
    """This replica's view of the load. Lives on the event loop; a question costs microseconds."""

    def __init__(
        self, bus: Bus, settings: OrderSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bus, self._settings, self._clock = bus, settings, clock
        self._looks: deque[Look] = deque()
        self._open, self._lines, self._pace, self._best = 0, 0, 0.0, 0.0
        self._taken: deque[int] = deque(maxlen=settings.max_undecided)
        self._moved_at, self._moving_since = -math.inf, math.inf

    def refusal(self) -> TooMuch | None:
        """Why another order would be too much now; None if it would not. Raises Unavailable before the first read."""
        self._look()
        undecided = self._bus.undecided(CreateOrder.topic)
        waiting, pace, limits = self._open + undecided, self._pace, self._settings
        if undecided > limits.max_undecided:
            return _too_much("undecided", f"{undecided} commands are not decided yet", 1)
        if waiting > limits.max_open:
            return _too_much(
                "open", f"{waiting} orders are open", LONGEST if not pace else waiting / pace / 10
            )
        if (lines := self._lines + self._lines_undecided(undecided)) > limits.max_lines:
            return _too_much("lines", f"{lines} lines of orders wait for inventory", LINES_AGAIN)
        if waiting > FEW and pace and waiting / pace > limits.max_lag:
            lag = waiting / pace
            told = f"{waiting} orders are open; at {pace:.0f} a second the last would settle in {lag:.0f} s"
            return _too_much("lag", told, lag - limits.max_lag)
        return None

    def took(self, lines: int) -> None:
        """An order of so many lines was accepted here."""
        self._taken.append(lines)

    def _lines_undecided(self, undecided: int) -> int:
        """The lines of the last orders taken in here, as many as are not decided yet: the tally lacks these."""
        return sum(islice(reversed(self._taken), undecided))

    def _look(self) -> None:
        now = self._clock()
        if self._looks and now - self._looks[-1].at < LOOK_EVERY:
            return
        (tally,) = self._bus.query(Timeline.tally)
        self._open, self._lines = tally["created"] - tally["settled"], tally["lines"]
        if self._open > FEW:
            # Held orders matter, and are counted, only where there are many.
            self._open = max(0, self._open - self._bus.held_keys())
        self._measure(Look(now, tally["settled"]))
        OPEN.set(self._open)
        LINES.set(self._lines)
        PACE.set(self._pace)

    def _measure(self, look: Look) -> None:
        """The pace, now that there is one look more; 0 if it says nothing."""
        before = self._looks[-1] if self._looks else look
        self._looks.append(look)
        while look.at - self._looks[0].at > PACE_OVER and len(self._looks) > 2:
            self._looks.popleft()
        if look.settled > before.settled:
            if look.at - self._moved_at > STANDSTILL:
                self._moving_since = look.at
            self._moved_at = look.at
        stretches = ((look.settled - past.settled, look.at - past.at) for past in self._looks)
        pace = max((settled / took for settled, took in stretches if took >= 1.0), default=0.0)
        self._best = max(pace, self._best * 0.5 ** ((look.at - before.at) / FADES))
        moving = look.at - self._moved_at <= STANDSTILL and look.at - self._moving_since >= AGAIN
        self._pace = pace if moving and pace >= self._best * USUAL else 0.0


def _too_much(reason: str, told: str, seconds: float) -> TooMuch:
    REFUSED.labels(reason).inc()
    wait = min(max(1, math.ceil(seconds)), LONGEST)
    return TooMuch(reason, f"{told}. Ask again in {wait} s.", wait)


class Gate:
    """ASGI middleware: refuses new orders before their bodies are read, so that a refusal costs next to nothing.

    One with an Idempotency-Key may be a repeat: it is let through, and the handler asks.
    """

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self.app, self._admission = app, admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        new = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == "/orders"
        if new and "idempotency-key" not in Headers(scope=scope) and (refusal := self._refusal()):
            await refusal.problem().response()(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _refusal(self) -> TooMuch | None:
        try:
            return self._admission.refusal()
        except Unavailable:
            return None  # the handler says so
