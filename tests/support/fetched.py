"""Records with the face of confluent-kafka's Message, for what takes them without Kafka."""

from __future__ import annotations

from typing import cast

from confluent_kafka import Message

from eventbus.model.record import Raw


class _Fetched:
    def __init__(self, raw: Raw) -> None:
        self.topic, self.partition, self.offset = lambda: raw.topic, lambda: raw.partition, lambda: raw.offset
        self.key, self.value, self.headers = lambda: raw.key, lambda: raw.value, lambda: raw.headers


def fetched(raw: Raw) -> Message:
    """The record as a consumer would hand it out."""
    return cast(Message, _Fetched(raw))
