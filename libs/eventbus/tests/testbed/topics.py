"""Topics in memory, for searches: records with the headers that say what led to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from eventbus.causes.source import Exhausted, Take
from eventbus.causes.spans import Span
from eventbus.kafka.records import partition_of
from eventbus.model.places import Partition, Position
from eventbus.model.record import Headers, Raw
from eventbus.retry.parked import Parked, State

T0 = 1_800_000_000_000


class MemoryTopics:
    """A :class:`~eventbus.causes.source.Source`. It hands on what was asked for, and nothing beside that.

    A service has read an input to its end, unless ``read_up_to`` says otherwise.
    """

    def __init__(self, inputs: Mapping[str, Sequence[str]], *others: str, partitions: int = 6) -> None:
        """``inputs``: by service, the topics that it reads; ``others``: further topics."""
        self._inputs = inputs
        own = {f"{service}.{kind}" for service in inputs for kind in ("retry", "dlq", "admin")}
        names = own | set(others) | {topic for topics in inputs.values() for topic in topics}
        self._counts = dict.fromkeys(sorted(names), partitions) | {"eventbus.skips": 1}
        self._records: defaultdict[Partition, list[Raw]] = defaultdict(list)
        self.read_up_to: dict[tuple[str, str], int] = {}
        self.handed_on = 0
        self.patience = 10_000_000
        """Records that are handed on before the time is over."""

    # Writing

    def put(
        self,
        topic: str,
        key: str,
        cause: Raw | str | None = None,
        /,
        *,
        at: int = 0,
        by: str = "web",
        partition: int | None = None,
        **headers: str | None,
    ) -> Raw:
        """Write a record ``at`` ms after ``T0``; ``headers`` change those that a service would write, or (None)
        leave them out."""
        coordinates = cause.coordinates if isinstance(cause, Raw) else cause
        number = partition_of(key.encode(), self._counts[topic]) if partition is None else partition
        offset = len(self._records[Partition(topic, number)])
        named: dict[str, str | None] = {
            "ce_id": f"{topic}-{number}-{offset}-id",
            "ce_type": topic.title().replace(".", ""),
            "ce_source": f"/{by}",
            "ce_correlationid": cause.extension("correlationid")
            if isinstance(cause, Raw)
            else f"of {topic} {key}",
            "ce_cause": coordinates,
            "ce_causationid": cause.header("ce_id") if isinstance(cause, Raw) else None,
        }
        named |= headers
        written: Headers = [(name, text.encode()) for name, text in named.items() if text is not None]
        return self.put_raw(Raw(topic, number, offset, key.encode(), b"", written, T0 + at))

    def put_raw(self, raw: Raw) -> Raw:
        """Write a record as it is, at the end of its partition."""
        records = self._records[Partition(raw.topic, raw.partition)]
        placed = raw._replace(offset=len(records))
        records.append(placed)
        return placed

    def park(self, service: str, raw: Raw, state: State, at: int, attempt: int = 1) -> Raw:
        """Write the next record of a message that failed."""
        key = (raw.key or b"").decode()
        parked = Parked(
            raw, f"{service}.events", key, 0, state, attempt, T0 + at + 1_000, raw.timestamp, "OSError", "no"
        )
        place = raw.coordinates.encode()
        return self.put_raw(
            Raw(f"{service}.retry", raw.partition, 0, place, raw.value, parked.headers(), T0 + at)
        )

    def bury(self, service: str, raw: Raw, at: int) -> Raw:
        """Write the dead letter of a message."""
        parked = Parked(raw, "", "", 0, State.DEAD, 3, 0, raw.timestamp, "OSError", "no")
        headers = parked.dead_letter_headers(service, "1", T0 + at)
        return self.put_raw(Raw(f"{service}.dlq", raw.partition, 0, raw.key, raw.value, headers, T0 + at))

    def delete(self, raw: Raw) -> None:
        """Retention or compaction takes a record away."""
        self._records[Partition(raw.topic, raw.partition)].remove(raw)

    # Reading

    def topics(self) -> Mapping[str, int]:
        return self._counts

    def decided(self, service: str, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        return {
            partition: self.read_up_to.get((service, partition.topic), len(self._records[partition]))
            for partition in partitions
            if partition.topic in self._inputs[service]
        }

    def read(self, spans: Mapping[Partition, Span], take: Take, only: bytes | None = None) -> None:
        for partition, span in spans.items():
            self._hand_on(
                [raw for raw in self._records[partition] if span.since <= raw.timestamp <= span.until],
                take,
                only,
            )

    def read_from(self, offsets: Mapping[Partition, int], take: Take, only: bytes | None = None) -> None:
        for partition, offset in offsets.items():
            self._hand_on([raw for raw in self._records[partition] if raw.offset >= offset], take, only)

    def _hand_on(self, records: Sequence[Raw], take: Take, only: bytes | None) -> None:
        for raw in records:
            if only is None or raw.key == only or raw.topic.endswith((".retry", ".dlq")):
                self._count()
                take(raw)

    def _count(self) -> None:
        self.handed_on += 1
        if self.handed_on > self.patience:
            raise Exhausted("the time limit of 5 s was reached")

    def at(self, positions: Collection[Position]) -> Mapping[Position, Raw]:
        return {
            raw.position: raw
            for position in positions
            for raw in self._records.get(Partition(*position[:2]), ())
            if raw.position == position
        }
