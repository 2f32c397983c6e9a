"""Errors of the Kafka client that pass by themselves, or that concern one batch only."""

from __future__ import annotations

from confluent_kafka import KafkaError

_PASSING = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._RESOLVE,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}
_NOT_YET = {KafkaError._STATE, KafkaError._UNKNOWN_PARTITION}
_UNREADABLE = {KafkaError._BAD_COMPRESSION, KafkaError._BAD_MSG}


def passes(error: KafkaError) -> bool:
    """Whether the error passes by itself while a broker goes or comes back. Few of these are flagged as retriable."""
    return bool(error.retriable()) or error.code() in _PASSING


def comes_too_early(error: KafkaError) -> bool:
    """Whether a call came before the client was ready for it; otherwise as :func:`passes`.

    A seek is refused while the client itself still asks where an assigned partition's group stands; and a broker that
    has just come back has not heard yet who leads what.
    """
    return passes(error) or error.code() in _NOT_YET


def is_unreadable(error: KafkaError) -> bool:
    """Whether the error means that a batch is unreadable. The consumer repeats it for ever, and gets no further.

    A batch of a few kilobytes is unreadable if it decompresses to more than ``receive.message.max.bytes``
    (librdkafka 2.16, zstd).
    """
    return error.code() in _UNREADABLE
