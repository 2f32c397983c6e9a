"""What a search for causes needs of Kafka."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from eventbus.causes.spans import Span
from eventbus.model.places import Partition, Position
from eventbus.model.record import Raw

Take = Callable[[Raw], None]


class Exhausted(Exception):
    """The search has taken what it may take: time, or records. The text says which."""


class Source(Protocol):
    """The topics of one environment, named without their prefix. Committed records only.

    Every method raises Exhausted after the time limit, and Unavailable if the brokers do not answer.
    """

    def topics(self) -> Mapping[str, int]:
        """By name, how many partitions each topic has."""

    def decided(self, service: str, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """Up to where a service has decided each of these; those that it does not read are left out."""

    def read(self, spans: Mapping[Partition, Span], take: Take, only: bytes | None = None) -> None:
        """Hand on every record of these times, in the order of its partition; some before and after them too.

        ``only``: of this key, and those of retry and dead letter topics; it takes a tenth of the time.
        """

    def read_from(self, offsets: Mapping[Partition, int], take: Take, only: bytes | None = None) -> None:
        """As :meth:`read`, from these offsets to the ends."""

    def at(self, positions: Collection[Position]) -> Mapping[Position, Raw]:
        """The records at these positions, as far as there are any."""
