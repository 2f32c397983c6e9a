"""What a replica's processor shares with the event loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eventbus.kafka.health import BrokerHealth
from eventbus.kafka.records import partition_of
from eventbus.model.places import Partition
from eventbus.processing.follower import Stop
from eventbus.service.progress import Progress
from eventbus.state.store import Store


@dataclass(frozen=True)
class LocalState:
    """What the processor of this replica shows of itself. The event loop reads it while the processor works."""

    store: Store
    """A read-only view, with a connection of its own."""
    health: BrokerHealth
    partitions: int
    """How many partitions each topic of the service has."""
    positions: Callable[[], dict[Partition, int]]
    """The followed partitions of own logs, each with the offset up to which it is folded and published."""
    stops: Callable[[], dict[Partition, Stop]]
    """The partitions of own logs that a record stops."""
    progress: Progress
    caught_up: Callable[[], bool]
    """Whether it had folded all that there was once, since it started."""

    def partition_of(self, topic: str, key: str) -> Partition:
        """The partition of ``topic`` that holds ``key``."""
        return Partition(topic, partition_of(key.encode(), self.partitions))
