"""``kcat … | eventbus decode``: records that another program has read, decoded.

The input is what kcat prints with ``-f '%t %p %o %T %K %S\\n%k%s\\n'``: for each record a line with its topic,
partition, offset, time (ms since epoch), and the lengths of its key and value (-1: none), then the key and the value,
and a line break. Keys and values may hold any byte, so they are read by their lengths. Headers have none there, and
are left out: ``tail`` shows them, and reads by them what was written under the ids of a registry's own.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Annotated, BinaryIO

import typer

from eventbus.cli.described import described
from eventbus.cli.ending import CommandError, Exit, output
from eventbus.cli.session import settings_and_codec
from eventbus.cli.tail import print_record
from eventbus.model.limits import MAX_LETTER
from eventbus.model.record import LATEST, Raw

FORMAT = r"%t %p %o %T %K %S\n%k%s\n"
HINT = f"give what `kcat -C -b HOST:PORT -t TOPIC -f '{FORMAT}'` prints"
_HEAD = re.compile(
    rb"([A-Za-z0-9._-]{1,249}) ([0-9]{1,10}) ([0-9]{1,19}) (-?[0-9]{1,19}) (-1|[0-9]{1,10}) (-1|[0-9]{1,10})\n"
)
_MAX_HEAD = 400
MAX_PART = 2 * MAX_LETTER
"""Bytes of a key or value: more than any topic takes."""


def decode(
    json: Annotated[bool, typer.Option("--json", help="print JSON, one object a line")] = False,
) -> None:
    """Decode what kcat prints: kcat -C -b HOST:PORT -t TOPIC -f '%t %p %o %T %K %S\\n%k%s\\n' | eventbus decode."""
    if sys.stdin.isatty():
        raise CommandError(Exit.USAGE, f"Nothing comes in: {HINT}.")
    settings, codec = settings_and_codec()
    with output():
        try:
            for raw in frames(sys.stdin.buffer, settings.topic_prefix):
                print_record(described(codec, raw), json=json)
                sys.stdout.flush()
        except ValueError as error:
            raise CommandError(Exit.USAGE, f"{error}; {HINT}.") from error


def frames(source: BinaryIO, prefix: str = "") -> Iterator[Raw]:
    """The records of such an input. Raises ValueError, which names the record, for anything else."""
    number = 0
    while head := source.readline(_MAX_HEAD):
        number += 1
        found = _HEAD.fullmatch(head)
        if found is None:
            raise ValueError(f"record {number} begins with {head[:60]!r}")
        topic, partition, offset, time, key_length, value_length = found.groups()
        key, value = (_part(source, int(length), number) for length in (key_length, value_length))
        if source.read(1) != b"\n":
            raise ValueError(f"record {number} is longer than it says")
        millis = int(time)
        yield Raw(
            topic.decode().removeprefix(prefix),
            int(partition),
            int(offset),
            key,
            value,
            [],
            millis if 0 <= millis <= LATEST else 0,
        )


def _part(source: BinaryIO, length: int, number: int) -> bytes | None:
    if length < 0:
        return None
    if length > MAX_PART:
        raise ValueError(f"record {number} says that it has {length} bytes")
    found = source.read(length)
    if len(found) < length:
        raise ValueError(f"record {number} ends after {len(found)} of {length} bytes")
    return found
