"""Hears, from ``order.events`` itself, when orders settle: for tools that measure from outside."""

from __future__ import annotations

import threading
import time
from math import ceil, nan
from typing import NamedTuple, cast

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka import Message as Record

from eventbus import Settings
from eventbus.codec import Codec
from eventbus.kafka import common
from schemas import OrderFailed

LOG = "order.events"
SETTLING = {b"OrderConfirmed": "CONFIRMED", b"OrderFailed": "FAILED", b"OrderCancelled": "CANCELLED"}


class Settled(NamedTuple):
    """How an order settled and when that was read here (``time.monotonic``, s); ``why`` says it for FAILED."""

    status: str
    at: float
    why: str = ""


class Arrivals:
    """A read_committed consumer on a thread of its own. ``settled`` grows, by order id: first settling events.

    Use as a context manager: everything written after entering is heard.
    """

    def __init__(self, settings: Settings) -> None:
        self.settled: dict[str, Settled] = {}
        self._codec = Codec()
        self._settings = settings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="arrivals", daemon=True)
        self._consumer = Consumer(
            {
                **common(settings),
                "group.id": settings.topic("arrivals"),
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
            }
        )

    def __enter__(self) -> Arrivals:
        """Begin at the end the log has now. Raises KafkaException."""
        topic = self._settings.topic(LOG)
        known = self._consumer.list_topics(topic, timeout=10.0).topics[topic]
        ends = []
        for number in known.partitions:
            marks = self._consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10.0)
            ends.append(TopicPartition(topic, number, marks[1]))
        self._consumer.assign(ends)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._consumer.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            first = self._consumer.poll(0.2)
            if first is None:
                continue
            now = time.monotonic()
            for record in (first, *self._consumer.consume(1000, 0)):
                if record.error() is None:
                    self._note(record, now)

    def _note(self, record: Record, now: float) -> None:
        headers = cast(list[tuple[str, bytes]], record.headers() or [])
        status = next((SETTLING.get(value) for name, value in headers if name == "ce_type"), None)
        key = record.key()
        if status is None or key is None:
            return
        why = ""
        if status == "FAILED":
            event = self._codec.decode_value(record.value())
            assert isinstance(event, OrderFailed)
            why = f"{event.stage}: {event.reason}"
        self.settled.setdefault(key.decode(), Settled(status, now, why))


def percentile(values: list[float], share: float) -> float:
    """The value that ``share`` (0 to 1) of the *sorted* values do not exceed; NaN of none (nearest rank)."""
    if not values:
        return nan
    return values[max(0, ceil(share * len(values)) - 1)]
