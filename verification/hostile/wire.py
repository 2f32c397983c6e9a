"""Writes a record by Kafka's protocol alone, for header names that no client library lets through.

confluent-kafka takes header names as text without NUL; the protocol takes any bytes. So this makes a Produce request
of version 3 with one record, uncompressed. Source: Kafka protocol guide, "Record Batch" and "Produce API"; CRC-32C
(RFC 3720, B.4).
"""

from __future__ import annotations

import socket
import struct
import time
from functools import cache

from verification.hostile.record import Hostile

PRODUCE, VERSION, TIMEOUT = 0, 3, 60.0


class NotWritten(Exception):
    """The broker refused the record, or did not answer."""


def produce(address: tuple[str, int], topic: str, record: Hostile) -> int:
    """Write one record to the leader of its partition, at ``address``; returns its offset. Raises NotWritten."""
    request = _request(topic, record)
    try:
        with socket.create_connection(address, TIMEOUT) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            (size,) = struct.unpack(">i", _receive(connection, 4))
            answer = _receive(connection, size)
    except OSError as error:
        raise NotWritten(f"{record}: {error}") from error
    # correlation id, one topic with its name, one partition: its index, the error, the offset
    place = 4 + 4 + 2 + len(topic.encode()) + 4
    _, error_code, offset = struct.unpack_from(">ihq", answer, place)
    if error_code:
        raise NotWritten(f"{record}: the broker answers with error {error_code}")
    return int(offset)


def _receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise OSError("the broker closed the connection")
        data += more
    return data


def _request(topic: str, record: Hostile) -> bytes:
    batch = _batch(record)
    return b"".join(
        [
            struct.pack(">hhi", PRODUCE, VERSION, 1),
            _text("hostile"),
            struct.pack(">hhii", -1, -1, int(TIMEOUT * 1000), 1),  # no transaction, acks=all
            _text(topic),
            struct.pack(">iii", 1, record.partition, len(batch)),
            batch,
        ]
    )


def _batch(record: Hostile) -> bytes:
    now = time.time_ns() // 1_000_000
    fields = b"".join([b"\0", _varint(0), _varint(0), _bytes(record.key), _bytes(record.value)])
    headers = b"".join(_bytes(name) + _bytes(value) for name, value in record.headers)
    body = fields + _varint(len(record.headers)) + headers
    body = _varint(len(body)) + body
    # attributes, last offset delta, first and last time, no producer id, epoch and sequence, one record
    checked = struct.pack(">hiqqqhii", 0, 0, now, now, -1, -1, -1, 1) + body
    rest = struct.pack(">ibI", -1, 2, crc32c(checked)) + checked
    return struct.pack(">qi", 0, len(rest)) + rest


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def _bytes(data: bytes | None) -> bytes:
    return _varint(-1) if data is None else _varint(len(data)) + data


def _varint(number: int) -> bytes:
    """A signed number as zigzag base 128."""
    left, out = (number << 1) ^ (number >> 63), bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*out, left])


def crc32c(data: bytes) -> int:
    """The checksum of a batch."""
    table, crc = _table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


@cache
def _table() -> list[int]:
    table = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
        table.append(number)
    return table
