"""Admission control: when a new order is refused with 429 and Retry-After, so that accepted orders stay quick.

An order is refused while one of these holds, as far as this replica knows (it folds all partitions):

- more than ``ORDER_MAX_UNDECIDED`` commands are not decided yet: the order service itself is behind;
- an order would wait longer than ``ORDER_MAX_LAG`` seconds to settle: open orders divided by the rate at which orders
  settle. Fewer than ``FREE_ORDERS`` are never too many. While hardly any order settles (the gateway is away), and
  for some seconds after, the rate is unknown and orders are accepted;
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
from services.order.problems import TOO_MANY_ORDERS
from services.order.settings import OrderSettings
from services.order.timeline import Timeline

FREE_ORDERS = 1_000
"""Open orders that are never too many."""
SAMPLE_EVERY = 0.25
"""Seconds between two reads of the tally."""
COUNT_EVERY = 0.01
"""Seconds between two counts of what is not decided yet. Near a limit it is counted for each order."""
NEAR = 0.5
"""The share of a limit that is near it."""
RATE_WINDOW = 10.0
"""Seconds over which the rate is measured. It is the best of all stretches of a second or more that end now."""
STALLED_AFTER = 2.0
"""After so many seconds in which no order settled, the rate is unknown."""
RESUMED_AFTER = 3.0
"""It is known again after orders have settled for so many seconds."""
MIN_SHARE_OF_BEST = 0.1
"""A rate below this share of the best one counts as unknown."""
BEST_HALF_LIFE = 600.0
"""Seconds in which the best rate known is halved."""
MAX_RETRY_AFTER = 60
"""The largest Retry-After, in seconds."""

LINES_RETRY_AFTER = 5
"""Retry-After, in seconds, while too many lines wait."""

LINES = Gauge(
    "order_lines_waiting", "Lines of orders whose reservation inventory has not answered, all partitions"
)
OPEN = Gauge("order_open", "Orders accepted and neither settled nor held, all partitions")
RATE = Gauge("order_settled_per_second", "Orders settled a second, over the last ten seconds")
REFUSED = Counter("order_refused_for_load", "Orders answered 429", ["reason"])


class Sample(NamedTuple):
    """The tally at one moment: ``at`` in s (monotonic), orders settled in all."""

    at: float
    settled: int


@dataclass(frozen=True)
class Refusal:
    """Why an order is refused, and after how many seconds the client may ask again."""

    reason: str
    detail: str
    retry_after: int

    def problem(self) -> Problem:
        """429, as problem+json."""
        headers = {"Retry-After": str(self.retry_after)}
        return Problem(TOO_MANY_ORDERS, self.detail, headers=headers)


class Admission:
    """This replica's view of the load. It is used on the event loop only; a call takes microseconds."""

    def __init__(
        self, bus: Bus, settings: OrderSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bus, self._settings, self._clock = bus, settings, clock
        self._samples: deque[Sample] = deque()
        self._open, self._lines, self._rate, self._best_rate = 0, 0, 0.0, 0.0
        self._undecided, self._lines_undecided, self._counted_at = 0, 0, -math.inf
        """What was counted last, and the orders accepted since."""
        self._accepted_lines: deque[int] = deque(maxlen=settings.max_undecided)
        self._moved_at, self._moving_since = -math.inf, math.inf

    def refusal(self) -> Refusal | None:
        """Why another order is refused, which is counted; None if it is not. Raises as :meth:`obstacle`."""
        if refusal := self.obstacle():
            REFUSED.labels(refusal.reason).inc()
        return refusal

    def obstacle(self) -> Refusal | None:
        """Why another order would be refused now; None if it would not. Raises Unavailable before the first read."""
        now = self._clock()
        self._update(now)
        self._count(now)
        undecided, rate, limits = self._undecided, self._rate, self._settings
        waiting = self._open + undecided
        if undecided > limits.max_undecided:
            return _refused("undecided", f"{undecided} commands are not decided yet", 1)
        if waiting > limits.max_open:
            return _refused(
                "open", f"{waiting} orders are open", MAX_RETRY_AFTER if not rate else waiting / rate / 10
            )
        if (lines := self._lines + self._lines_undecided) > limits.max_lines:
            return _refused("lines", f"{lines} lines of orders wait for inventory", LINES_RETRY_AFTER)
        if waiting > FREE_ORDERS and rate and waiting / rate > limits.max_lag:
            lag = waiting / rate
            detail = f"{waiting} orders are open; at {rate:.0f} a second the last would settle in {lag:.0f} s"
            return _refused("lag", detail, lag - limits.max_lag)
        return None

    def accepted(self, lines: int) -> None:
        """Count an order of so many lines that was accepted here."""
        self._accepted_lines.append(lines)
        self._undecided += 1
        self._lines_undecided += lines

    def _count(self, now: float) -> None:
        """Count what is not decided yet, if it was not done just now or a limit is near."""
        limits = self._settings
        is_near = (
            self._undecided > limits.max_undecided * NEAR
            or self._open + self._undecided > min(limits.max_open, FREE_ORDERS) * NEAR
            or self._lines + self._lines_undecided > limits.max_lines * NEAR
        )
        if is_near or now - self._counted_at >= COUNT_EVERY:
            self._counted_at, self._undecided = now, self._bus.undecided(CreateOrder.topic)
            # The lines of the last orders accepted here: the tally does not count these yet.
            self._lines_undecided = sum(islice(reversed(self._accepted_lines), self._undecided))

    def _update(self, now: float) -> None:
        if self._samples and now - self._samples[-1].at < SAMPLE_EVERY:
            return
        (tally,) = self._bus.query(Timeline.tally)
        self._open, self._lines = tally["created"] - tally["settled"], tally["lines"]
        if self._open > FREE_ORDERS:
            # Held orders are counted only if many are open: below that the number changes nothing.
            self._open = max(0, self._open - self._bus.held_keys())
        self._measure(Sample(now, tally["settled"]))
        OPEN.set(self._open)
        LINES.set(self._lines)
        RATE.set(self._rate)

    def _measure(self, sample: Sample) -> None:
        """Compute the rate with one more sample; 0 if it is unknown."""
        before = self._samples[-1] if self._samples else sample
        self._samples.append(sample)
        while sample.at - self._samples[0].at > RATE_WINDOW and len(self._samples) > 2:
            self._samples.popleft()
        if sample.settled > before.settled:
            if sample.at - self._moved_at > STALLED_AFTER:
                self._moving_since = sample.at
            self._moved_at = sample.at
        stretches = ((sample.settled - past.settled, sample.at - past.at) for past in self._samples)
        rate = max((settled / seconds for settled, seconds in stretches if seconds >= 1.0), default=0.0)
        self._best_rate = max(rate, self._best_rate * 0.5 ** ((sample.at - before.at) / BEST_HALF_LIFE))
        moving = (
            sample.at - self._moved_at <= STALLED_AFTER and sample.at - self._moving_since >= RESUMED_AFTER
        )
        self._rate = rate if moving and rate >= self._best_rate * MIN_SHARE_OF_BEST else 0.0


def _refused(reason: str, detail: str, seconds: float) -> Refusal:
    wait = min(max(1, math.ceil(seconds)), MAX_RETRY_AFTER)
    return Refusal(reason, f"{detail}. Ask again in {wait} s.", wait)


class AdmissionMiddleware:
    """Refuses new orders before their bodies are read, so that a refusal costs little.

    A request with an Idempotency-Key may be a repeat. It passes, and the route decides.
    """

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self.app, self._admission = app, admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        new = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == "/orders"
        if new and "idempotency-key" not in Headers(scope=scope) and (refusal := self._refusal()):
            await refusal.problem().response()(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _refusal(self) -> Refusal | None:
        try:
            return self._admission.refusal()
        except Unavailable:
            return None  # the route answers 503
