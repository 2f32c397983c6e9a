"""What confluent-kafka's producer cannot write: header names that are not text, and other compressions."""

from __future__ import annotations

import ctypes
import glob
from collections.abc import Sequence
from functools import cache

import confluent_kafka
from confluent_kafka import KafkaError, Producer
from confluent_kafka import Message as Record

from eventbus.messages import Position
from tests.support.topics import TIMEOUT, Topics

_COPY, _TOPIC, _PARTITION, _VALUE, _KEY, _FLAGS, _HEADERS, _END = 2, 1, 3, 4, 5, 7, 10, 0
"""``rd_kafka_producev``'s tags, and the flag that has it copy what it is given (rdkafka.h)."""


@cache
def _librdkafka() -> ctypes.CDLL:
    """The library that confluent-kafka has loaded."""
    (path,) = glob.glob(f"{confluent_kafka.__path__[0]}.libs/librdkafka*")
    library = ctypes.CDLL(path)
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_headers_new"):
        getattr(library, name).restype = ctypes.c_void_p
    return library


def write_with_names(
    topics: Topics, place: Position, key: bytes, value: bytes, headers: Sequence[tuple[bytes, bytes]]
) -> None:
    """Write a record whose header names are any bytes; ``place`` says topic and partition."""
    library, error = _librdkafka(), ctypes.create_string_buffer(512)
    settings = ctypes.c_void_p(library.rd_kafka_conf_new())
    servers = topics.settings.bootstrap_servers.encode()
    assert library.rd_kafka_conf_set(settings, b"bootstrap.servers", servers, error, 512) == 0, error.value
    producer = ctypes.c_void_p(library.rd_kafka_new(0, settings, error, 512))
    made = ctypes.c_void_p(library.rd_kafka_headers_new(ctypes.c_size_t(len(headers))))
    for name, text in headers:
        size = ctypes.c_ssize_t
        library.rd_kafka_header_add(made, name, size(len(name)), text, size(len(text)))
    tag, size_t = ctypes.c_int, ctypes.c_size_t
    failed = library.rd_kafka_producev(
        producer,
        *(tag(_TOPIC), topics.settings.topic(place.topic).encode()),
        *(tag(_PARTITION), ctypes.c_int32(place.partition)),
        *(tag(_VALUE), value, size_t(len(value))),
        *(tag(_KEY), key, size_t(len(key))),
        *(tag(_FLAGS), tag(_COPY)),
        *(tag(_HEADERS), made),
        tag(_END),
    )
    assert failed == 0, failed
    assert library.rd_kafka_flush(producer, int(TIMEOUT * 1000)) == 0
    library.rd_kafka_destroy(producer)


def write_compressed(
    topics: Topics, topic: str, partition: int, values: Sequence[bytes], codec: str = "zstd"
) -> Position:
    """Write large values as one compressed batch; returns where the first stands."""
    producer = Producer(
        {
            "bootstrap.servers": topics.settings.bootstrap_servers,
            "compression.type": codec,
            "message.max.bytes": 1_000_000_000,
            "batch.size": 1_000_000_000,
            "queue.buffering.max.kbytes": 2_000_000,
            "linger.ms": 10_000,
        }
    )
    placed: list[int] = []

    def delivered(error: KafkaError | None, record: Record) -> None:
        offset = record.offset()
        assert error is None and offset is not None, error
        placed.append(offset)

    for value in values:
        producer.produce(
            topics.settings.topic(topic), value=value, key=b"big", partition=partition, on_delivery=delivered
        )
    producer.flush(60)
    return Position(topic, partition, min(placed))
