"""The group coordinator of KIP-848, as far as members can observe it: epochs, targets, one owner a partition.

A partition goes to its new owner only once the old one has given it up, or was fenced for its silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException

Place = tuple[str, int]
"""A topic and the number of a partition."""

SESSION_TIMEOUT = 8_000
"""Ms after which a member that is not heard of is fenced."""


@dataclass(eq=False)
class Member:
    name: str
    epoch: int
    owned: set[Place] = field(default_factory=set)


class Group:
    """One consumer group; range assignment, so that partition i of all topics goes to one member."""

    def __init__(self, topics: Sequence[str], partitions: int) -> None:
        self._topics, self._partitions = topics, partitions
        self.members: dict[str, Member] = {}
        self.epoch = 0
        self.committed: dict[Place, int] = {}
        self.pending: dict[Place, set[int]] = {}
        """By input partition, the transactions that would commit an offset of it."""
        self._wanted: dict[str, set[Place]] = {}

    def join(self, name: str) -> Member:
        member = self.members[name] = Member(name, 0)
        self._rebalance()
        return member

    def leave(self, name: str) -> None:
        """A member goes, or is fenced after a session timeout."""
        if self.members.pop(name, None):
            self._rebalance()

    def _rebalance(self) -> None:
        self.epoch += 1
        names = sorted(self.members)
        self._wanted = {name: set() for name in names}
        for i in range(self._partitions if names else 0):
            owner = names[i * len(names) // self._partitions]
            self._wanted[owner] |= {(topic, i) for topic in self._topics}

    def to_revoke(self, member: Member) -> list[Place]:
        return sorted(member.owned - self._wanted[member.name])

    def to_assign(self, member: Member) -> list[Place]:
        """What a member is to get and nobody else still has."""
        taken = {place for other in self.members.values() if other is not member for place in other.owned}
        return sorted(self._wanted[member.name] - member.owned - taken)

    def acknowledge(self, member: Member) -> None:
        """A heartbeat of a member that has nothing (more) to give up: it is of the current epoch now."""
        if not self.to_revoke(member):
            member.epoch = self.epoch

    def check(self, name: str, epoch: int) -> None:
        """Whether a member may commit. Raises what the broker answers a zombie."""
        member = self.members.get(name)
        if member is None:
            raise KafkaException(KafkaError(KafkaError.UNKNOWN_MEMBER_ID, None, False, False, True))
        if member.epoch != epoch:
            raise KafkaException(KafkaError(KafkaError.STALE_MEMBER_EPOCH, None, False, False, True))
