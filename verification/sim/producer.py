"""Kafka's transactional producer with the face of confluent-kafka, over the broker in memory."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import TopicPartition

from verification.sim.broker import Broker, Stored, Transaction
from verification.sim.consumers import Connection, Fetched


class Producer:
    """The transactional producer of a slot. ``trouble`` may raise what a broker would, or never return."""

    def __init__(
        self, broker: Broker, connection: Connection, name: str, group: str, trouble: Callable[[str], None]
    ) -> None:
        self._broker, self._connection, self._name, self._group = broker, connection, name, group
        self._trouble = trouble
        self._epoch = 0
        self._transaction: Transaction | None = None
        self._begun = False
        self._waiting: list[tuple[Callable[..., None], Stored]] = []
        self._aborted: dict[tuple[str, int], Stored] = {}
        """What an aborted transaction wrote last: in the same epoch the next record is taken for its repetition."""

    def init_transactions(self, timeout: float = -1.0) -> None:
        self._connection.wait()
        self._epoch = self._broker.introduce(self._name)

    def begin_transaction(self) -> None:
        self._begun, self._transaction, self._waiting = True, None, []

    def _open(self) -> None:
        """The broker hears of a transaction with the first request that belongs to it."""
        self._connection.wait()
        if self._transaction is None:
            self._transaction = self._broker.begin(self._name, self._epoch)

    def produce(
        self,
        topic: str,
        *,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        headers: list[tuple[str, bytes | None]],
        on_delivery: Callable[..., None],
    ) -> None:
        self._open()
        headers = [(name, text) for name, text in headers if name not in self._connection.hidden]
        repeated = self._aborted.pop((topic, partition), None)
        stored = repeated or self._broker.produce(
            self._name, self._epoch, topic, partition, key, value, headers
        )
        self._waiting.append((on_delivery, stored))

    def send_offsets_to_transaction(
        self, offsets: list[TopicPartition], metadata: tuple[str, int], timeout: float = -1.0
    ) -> None:
        self._open()
        self._trouble("offsets")
        moved = {(tp.topic, tp.partition): tp.offset for tp in offsets}
        self._broker.add_offsets(self._name, self._epoch, self._group, *metadata, moved)

    def flush(self, timeout: float = -1.0) -> int:
        """What was produced is written; it is reported, with offsets, before the transaction has ended."""
        self._connection.wait()
        reported, self._waiting = self._waiting, []
        for on_delivery, stored in reported:
            on_delivery(None, Fetched(stored))
        return 0

    def commit_transaction(self, timeout: float = -1.0) -> None:
        self._connection.wait()
        self._trouble("commit")
        if self._transaction is not None:
            self._broker.commit(self._name, self._epoch)
        self._trouble("committed")
        for on_delivery, stored in self._waiting:
            on_delivery(None, Fetched(stored))
        self._begun = False

    def abort_transaction(self, timeout: float = -1.0) -> None:
        self._connection.wait()
        if self._transaction is not None:
            self._aborted = {(r.topic, r.partition): r for r in self._transaction.records}
            self._broker.abort(self._name, self._epoch)
        self._begun = False

    def poll(self, timeout: float) -> int:
        return 0
