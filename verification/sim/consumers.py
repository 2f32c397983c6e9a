"""Kafka's consumers with the face of confluent-kafka, over the broker in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from random import Random
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, OFFSET_INVALID, KafkaError, TopicPartition

from verification.sim.broker import Broker, Stored, failure
from verification.sim.groups import Group, Place

Rebalanced = Callable[[Any, list[TopicPartition]], None]


class Fetched:
    """A record, or the note that the end of a partition is reached, with the face of confluent's Message."""

    __slots__ = ("_end", "_hidden", "_stored")

    def __init__(self, stored: Stored, end: bool = False, hidden: Collection[str] = ()) -> None:
        self._stored, self._end, self._hidden = stored, end, hidden

    def error(self) -> KafkaError | None:
        return KafkaError(KafkaError._PARTITION_EOF) if self._end else None

    def topic(self) -> str:
        return self._stored.topic

    def partition(self) -> int:
        return self._stored.partition

    def offset(self) -> int:
        return self._stored.offset

    def key(self) -> bytes | None:
        return self._stored.key

    def value(self) -> bytes | None:
        return self._stored.value

    def headers(self) -> list[tuple[str, bytes | None]]:
        return [(name, value) for name, value in self._stored.headers if name not in self._hidden]

    def timestamp(self) -> tuple[int, int]:
        return 1, self._stored.time


class Connection:
    """A replica's connection to the brokers. ``wait`` returns once it is up; ``up`` tells whether it is."""

    def __init__(self, up: Callable[[], bool], wait: Callable[[], None], dice: Random) -> None:
        self.up, self.wait, self.dice = up, wait, dice
        self.late = 0.0
        """The share of fetches of a partition that bring nothing yet, though there is something."""
        self.missed = False
        """A fetch returned less than there is, so polling again is worth it. Whoever polls sets it to False."""
        self.hidden: Collection[str] = ()
        """The names of headers that the code of the process does not know: it neither reads nor writes them."""


class Reader:
    """Reading assigned partitions, committed records only."""

    def __init__(self, broker: Broker, connection: Connection) -> None:
        self.broker, self.connection = broker, connection
        self.next: dict[Place, int] = {}
        self.paused: set[Place] = set()

    def fetch(self, most: int, reported_ends: dict[Place, int] | None = None) -> list[Fetched]:
        """Up to ``most`` records. With ``reported_ends``, each new end of a partition is
        reported once."""
        found: list[Fetched] = []
        if not self.connection.up():
            return found
        dice, late = self.connection.dice, self.connection.late
        for place in self._order():
            log = self.broker.log(*place)
            position, stable = self.next[place], log.stable
            if position < stable and late and dice.random() < late:
                self.connection.missed = True
                continue
            while position < stable and len(found) < most:
                record = log.records[position]
                position += 1
                if record is not None and record.visible:
                    found.append(Fetched(record, hidden=self.connection.hidden))
            self.next[place] = position
            if position < stable:
                self.connection.missed = True
            elif reported_ends is not None and reported_ends.get(place) != position:
                reported_ends[place] = position
                found.append(Fetched(Stored(*place, position, None, None, [], 0, False), end=True))
        return found

    def _order(self) -> list[Place]:
        """A client must not rely on the order in which partitions are served, so it is random."""
        places = [p for p in self.next if p not in self.paused]
        if len(places) > 1:
            self.connection.dice.shuffle(places)
        return places


class LogConsumer:
    """The follower's consumer: no group."""

    def __init__(self, broker: Broker, connection: Connection) -> None:
        self._reader, self._ends = Reader(broker, connection), dict[Place, int]()

    def incremental_assign(self, parts: Iterable[TopicPartition]) -> None:
        for tp in parts:
            self._reader.next[tp.topic, tp.partition] = max(tp.offset, 0)

    def incremental_unassign(self, parts: Iterable[TopicPartition]) -> None:
        for tp in parts:
            del self._reader.next[tp.topic, tp.partition]
            self._ends.pop((tp.topic, tp.partition), None)

    def consume(self, most: int, timeout: float) -> list[Fetched]:
        return self._reader.fetch(most, self._ends)

    def close(self) -> None:
        self._reader.next.clear()


class Probe:
    """Asks for the ends of logs, uncommitted records included."""

    def __init__(self, broker: Broker, connection: Connection) -> None:
        self._broker, self._connection = broker, connection

    def get_watermark_offsets(self, tp: TopicPartition, timeout: float) -> tuple[int, int] | None:
        return (0, self._broker.log(tp.topic, tp.partition).end) if self._connection.up() else None

    def close(self) -> None:
        pass


class InputConsumer:
    """The group's consumer."""

    def __init__(self, broker: Broker, connection: Connection, group: Group, name: str) -> None:
        self._reader, self._connection, self._group, self._name = (
            Reader(broker, connection),
            connection,
            group,
            name,
        )
        self._broker = broker
        self._positions: dict[Place, int] = {}
        self._buffer: list[Fetched] = []
        self._lives = 0
        self._subscribed = False
        self.member = ""

    def subscribe(
        self, topics: list[str], on_assign: Rebalanced, on_revoke: Rebalanced, on_lost: Rebalanced
    ) -> None:
        self._on_assign, self._on_revoke, self._on_lost = on_assign, on_revoke, on_lost
        self._subscribed = True
        self._join()

    def unsubscribe(self) -> None:
        """As the real one, it gives everything up with the next poll."""
        self._subscribed = False

    def _join(self) -> None:
        self._lives += 1
        self.member = f"{self._name}.{self._lives}"
        self._group.join(self.member)

    def poll(self, timeout: float) -> Fetched | None:
        if self._connection.up():
            self._heartbeat()
        self._buffer += self._reader.fetch(1_000_000)
        found = self.consume(1, 0)
        return found[0] if found else None

    def _heartbeat(self) -> None:
        if not self._subscribed:
            self.close()
            return
        member = self._group.members.get(self.member)
        if member is None:
            if lost := self._assigned():
                self._on_lost(self, lost)
            self._join()
            return
        if losing := self._group.to_revoke(member):
            self._on_revoke(self, [TopicPartition(*place) for place in losing])
            member.owned -= set(losing)
            # It may have been fenced during the revocation; the next poll reports that.
            if self.member in self._group.members:
                self._group.acknowledge(member)
            return
        self._group.acknowledge(member)
        gaining = self._group.to_assign(member)
        if gaining and self._connection.dice.random() < 0.3:
            gaining = gaining[: self._connection.dice.randint(1, len(gaining))]
            self._connection.missed = True
        if gaining:
            member.owned |= set(gaining)
            self._on_assign(self, [TopicPartition(*place) for place in gaining])

    def _assigned(self) -> list[TopicPartition]:
        return [TopicPartition(*place) for place in sorted(self._reader.next)]

    def consume(self, most: int, timeout: float) -> list[Fetched]:
        """What was fetched before; a paused partition gives nothing, and keeps what it has."""
        taken = [f for f in self._buffer if (f.topic(), f.partition()) not in self._reader.paused][:most]
        for fetched in taken:
            self._buffer.remove(fetched)
            self._positions[fetched.topic(), fetched.partition()] = fetched.offset() + 1
        return taken

    def consumer_group_metadata(self) -> tuple[str, int]:
        member = self._group.members.get(self.member)
        return self.member, member.epoch if member else -1

    def position(self, parts: list[TopicPartition]) -> list[TopicPartition]:
        """After what was last handed out; invalid where nothing was since the partition was assigned or sought."""
        return [
            TopicPartition(
                tp.topic, tp.partition, self._positions.get((tp.topic, tp.partition), OFFSET_INVALID)
            )
            for tp in parts
        ]

    def committed(self, parts: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        """Stable offsets only: a transaction under way that would move one has to end first (KIP-447)."""
        places = [(tp.topic, tp.partition) for tp in parts]
        if not self._connection.up() or any(self._group.pending.get(place) for place in places):
            raise failure(KafkaError._TIMED_OUT, retriable=True)
        return [TopicPartition(*p, self._group.committed.get(p, OFFSET_INVALID)) for p in places]

    def get_watermark_offsets(self, tp: TopicPartition, timeout: float) -> tuple[int, int] | None:
        """The end is what a reader of committed records can see."""
        return (0, self._broker.log(tp.topic, tp.partition).stable) if self._connection.up() else None

    def seek(self, tp: TopicPartition) -> None:
        place = (tp.topic, tp.partition)
        self._forget(place)
        self._reader.next[place] = 0 if tp.offset == OFFSET_BEGINNING else tp.offset

    def _forget(self, place: Place) -> None:
        self._positions.pop(place, None)
        self._buffer = [f for f in self._buffer if (f.topic(), f.partition()) != place]

    def pause(self, parts: list[TopicPartition]) -> None:
        self._reader.paused |= {(tp.topic, tp.partition) for tp in parts}

    def resume(self, parts: list[TopicPartition]) -> None:
        self._reader.paused -= {(tp.topic, tp.partition) for tp in parts}

    def incremental_assign(self, parts: list[TopicPartition]) -> None:
        for tp in parts:
            place = (tp.topic, tp.partition)
            self._reader.next[place] = self._group.committed.get(place, 0)

    def incremental_unassign(self, parts: list[TopicPartition]) -> None:
        for tp in parts:
            self._forget((tp.topic, tp.partition))
            self._reader.next.pop((tp.topic, tp.partition), None)
            self._reader.paused.discard((tp.topic, tp.partition))

    def close(self) -> None:
        """Leave the group in order: what is assigned is revoked first."""
        if assigned := self._assigned():
            self._on_revoke(self, assigned)
        self._group.leave(self.member)
