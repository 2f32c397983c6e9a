"""The chain of bare exactly-once hops: five processes, from topic to topic, and who listens at its end."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

from confluent_kafka import KafkaException, TopicPartition

from bench.bare.clients import create_topics, durable_producer, reader
from bench.bare.record import CREATED, AvroCodec, created
from bench.load import Operation, run
from bench.processes import Module
from bench.waiting import Ends

HOPS = 5
"""From POST to CONFIRMED an order is decided five times one after the other, each time from one topic to the next:
by order, inventory's order half, its stock half, its order half again, and order. The reference has as many hops,
however many transactions these decisions take."""
START = 5.0
"""Seconds that the first records may take, beside the patience of every load."""


class Chain:
    """While the ``with`` lasts, the hops run and what comes out is heard. Topics are made anew."""

    def __init__(self, servers: str, logs: Path, partitions: int, replication: int) -> None:
        self._servers, self._logs = servers, logs
        self._partitions, self._replication = partitions, replication
        name = f"chain-{uuid.uuid4().hex[:8]}"
        self._topics = [f"{name}.{number}" for number in range(HOPS + 1)]
        self._codec = AvroCodec(CREATED)
        self._stack = ExitStack()
        self._hops: dict[str, Module] = {}
        self._hear: Callable[[str, float], None] = lambda key, at: None
        self._stop = threading.Event()

    def __enter__(self) -> Chain:
        with ExitStack() as stack:
            create_topics(self._servers, self._topics, self._partitions, self._replication)
            self._producer = durable_producer(self._servers, linger_ms=0)
            self._listener = threading.Thread(target=self._listen, name="end-of-chain", daemon=True)
            self._listener.start()
            stack.callback(self._hush)
            for number, (source, target) in enumerate(zip(self._topics, self._topics[1:], strict=False)):
                arguments = ["--servers", self._servers, "--source", source, "--target", target]
                hop = Module(self._logs / f"hop-{number}.log", "bench.bare.hop", arguments)
                self._hops[f"hop {number + 1}"] = stack.enter_context(hop)
            run(self._first(), START)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def pids(self) -> dict[str, int]:
        """The hops' processes."""
        return {name: hop.pid for name, hop in self._hops.items()}

    def put(self) -> str:
        """Write a record to the first topic, and give its key. It is durable soon after."""
        key = str(uuid.uuid4())
        self._producer.produce(self._topics[0], self._codec.encode(created(key)), key.encode())
        self._producer.poll(0)
        return key

    @contextmanager
    def passages(self) -> Iterator[Operation]:
        """An operation that puts a record in at the front and ends when it comes out at the end."""
        ends = Ends()

        async def do(_: int) -> float:
            return await ends.until(self.put())

        self._hear = ends.hear
        try:
            yield do
        finally:
            self._hear = lambda key, at: None
            self.check()

    def check(self) -> None:
        """Raises NotMeasured if a hop has ended."""
        for hop in self._hops.values():
            hop.check()

    async def _first(self) -> None:
        with self.passages() as do:
            await asyncio.gather(*(do(number) for number in range(20 * self._partitions)))

    def _listen(self) -> None:
        consumer = reader(self._servers)
        last = self._topics[-1]
        consumer.assign([TopicPartition(last, number, 0) for number in range(self._partitions)])
        while not self._stop.is_set():
            first = consumer.poll(0.2)
            if first is None:
                continue
            now = time.monotonic()
            for record in (first, *consumer.consume(1000, 0)):
                if error := record.error():
                    raise KafkaException(error)
                key = record.key()
                assert key is not None
                self._hear(key.decode(), now)
        consumer.close()

    def _hush(self) -> None:
        self._stop.set()
        self._listener.join()
        self._producer.flush(10)
