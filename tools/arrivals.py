"""Hears, from ``order.events`` itself, when orders settle: for tools that measure from outside."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from math import ceil, nan
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import Message as Record

from eventbus import Settings
from eventbus.codec import Codec
from eventbus.kafka.clients import common, probe_consumer
from eventbus.kafka.errors import is_unreadable
from eventbus.kafka.records import after_unreadable, raw_of
from eventbus.model.errors import Poison
from eventbus.model.record import Raw
from eventbus.wire_format import DATASCHEMA
from schemas import OrderFailed

LOG = "order.events"
SETTLING = {"OrderConfirmed": "CONFIRMED", "OrderFailed": "FAILED", "OrderCancelled": "CANCELLED"}


class Settled(NamedTuple):
    """How an order settled and when that was read here (``time.monotonic``, s); ``why`` says it for FAILED."""

    status: str
    at: float
    why: str = ""


class Arrivals:
    """A read_committed consumer on a thread of its own. ``settled`` grows, by order id: first settling events.

    Use as a context manager: everything written after entering is heard. ``on_settled`` is called, on that thread,
    with each order that was added.
    """

    def __init__(self, settings: Settings, on_settled: Callable[[str, Settled], None] | None = None) -> None:
        self._on_settled = on_settled
        self.settled: dict[str, Settled] = {}
        self._codec = Codec("schemas")
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
                error = record.error()
                if error is None:
                    self._note(raw_of(record, self._settings.topic_prefix), now)
                elif is_unreadable(error):
                    self._go_on_behind(record)

    def _go_on_behind(self, record: Record) -> None:
        """Seek behind a batch that cannot be decoded: the client would report it for ever and read no further."""
        topic, partition, offset = record.topic(), record.partition(), record.offset()
        assert topic is not None and partition is not None and offset is not None
        probe = probe_consumer(self._settings, "arrivals.probe", "read_uncommitted")
        try:
            after = after_unreadable(probe, topic, partition, offset)
            self._consumer.seek(TopicPartition(topic, partition, after))
        except KafkaException:
            pass  # the client reports it again
        finally:
            probe.close()

    def _note(self, raw: Raw, now: float) -> None:
        """What an event says of an order; what order itself cannot have written says nothing."""
        status = SETTLING.get(raw.header("ce_type") or "")
        if status is None or raw.key is None or raw.extension("cause") is None:
            return
        why = ""
        try:
            key = raw.key.decode()
            if status == "FAILED":
                event = self._codec.decode_value(raw.value, raw.header(DATASCHEMA))
                why = f"{event.stage}: {event.reason}" if isinstance(event, OrderFailed) else ""
        except (Poison, UnicodeDecodeError):
            return
        if key not in self.settled:
            self.settled[key] = settled = Settled(status, now, why)
            if self._on_settled is not None:
                self._on_settled(key, settled)


def percentile(values: list[float], share: float) -> float:
    """The value that ``share`` (0 to 1) of the *sorted* values do not exceed; NaN of none (nearest rank)."""
    if not values:
        return nan
    return values[max(0, ceil(share * len(values)) - 1)]
