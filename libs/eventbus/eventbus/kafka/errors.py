"""Errors of the client that this library does not raise further."""

from __future__ import annotations

from confluent_kafka import KafkaError

PASSING = {
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
"""What passes by itself while a broker goes or comes back; librdkafka calls none of it retriable."""

UNREADABLE = {KafkaError._BAD_COMPRESSION, KafkaError._BAD_MSG}
"""What a consumer is told of a batch that it cannot take apart, each time anew: by itself it never gets past it.
A few kilobytes do that if they decompress to more than ``receive.message.max.bytes`` (librdkafka 2.16, zstd)."""
