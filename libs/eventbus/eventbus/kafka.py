"""How this library talks to Kafka: client configurations, partitioning, the three kinds of transaction error."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from operator import methodcaller
from typing import Any, TypeVar, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition, murmur2
from confluent_kafka import Message as Record
from confluent_kafka.admin import AdminClient

from eventbus.codec import LATEST, Headers, Raw
from eventbus.errors import Fenced, Unavailable
from eventbus.guard import Guard
from eventbus.metrics import LAG
from eventbus.settings import Settings

T = TypeVar("T")
log = logging.getLogger("eventbus.kafka")
client_log = logging.getLogger("librdkafka")
PATIENCE = 20.0
"""Seconds for which a transactional call is repeated before a fresh process is to try."""
ONE_TRY = 3.0
"""Seconds one try of a transactional call may take."""
PASSING = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._RESOLVE,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}
"""What passes by itself while a broker goes or comes back; librdkafka calls none of it retriable."""
UNREADABLE = {KafkaError._BAD_COMPRESSION, KafkaError._BAD_MSG}
"""What a consumer is told of a batch that it cannot take apart, each time anew: by itself it never gets past it.
A few kilobytes do that if they decompress to more than ``receive.message.max.bytes`` (librdkafka 2.16, zstd)."""


class Superseded(Fenced):
    """The producer's epoch is over: another has its id, or its transaction lasted too long and was ended for it."""


class Aborted(Exception):
    """The transaction cannot commit: abort it, forget what was decided, read the input again."""


def partition_of(key: bytes, count: int) -> int:
    """The partition of a key, as Java's default partitioner and ``murmur2_random`` place it."""
    return int(murmur2(key, count))


def common(settings: Settings) -> dict[str, Any]:
    return {
        "bootstrap.servers": settings.bootstrap_servers,
        "logger": client_log,
        "socket.keepalive.enable": True,
        "socket.nagle.disable": True,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1000,
        "topic.metadata.refresh.interval.ms": 30000,
        # A client that learns nothing of the cluster begins again at the addresses above (after 5 min by default).
        "metadata.recovery.rebootstrap.trigger.ms": 2000,
    }


def input_consumer(settings: Settings, group: str, heard: Heard) -> Consumer:
    """The group's consumer: committed data only, KIP-848 protocol, co-partitioned (range) assignment."""
    return Consumer(
        {
            **common(settings),
            "group.id": settings.topic(group),
            "group.protocol": "consumer",
            "group.remote.assignor": "range",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 500,
            "fetch.queue.backoff.ms": 50,
            "queued.max.messages.kbytes": 32768,
            "fetch.message.max.bytes": 2_097_152,
            "max.poll.interval.ms": 300000,
            "statistics.interval.ms": 1000,
            "stats_cb": heard,
        }
    )


def log_consumer(settings: Settings, name: str) -> Consumer:
    """A consumer outside any group, for logs that every replica folds. It never commits."""
    return Consumer(
        {
            **common(settings),
            "group.id": settings.topic(f"{name}.follow"),
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 500,
            "queued.max.messages.kbytes": 32768,
            "fetch.message.max.bytes": 2_097_152,
        }
    )


def probe_consumer(settings: Settings, group: str, isolation: str) -> Consumer:
    """A consumer that only asks: watermarks, and what the group has committed."""
    return Consumer(
        {
            **common(settings),
            "group.id": settings.topic(group),
            "isolation.level": isolation,
            "enable.auto.commit": False,
            # Nobody refreshes what it knows of a topic that it does not read: when a broker goes on that stood still
            # and says for a moment that nobody leads, that would be believed for a minute and a half.
            "metadata.max.age.ms": 1000,
        }
    )


def transactional_producer(settings: Settings, transactional_id: str) -> Producer:
    """The producer of a slot. ``retry.backoff.ms`` is what back-to-back transactions wait for one another."""
    timeout = int(settings.transaction_timeout * 1000)
    return Producer(
        {
            **common(settings),
            "transactional.id": settings.topic(transactional_id),
            "transaction.timeout.ms": timeout,
            "message.timeout.ms": timeout - 1000,
            "retry.backoff.ms": 2,
            "retry.backoff.max.ms": 50,
            "linger.ms": 0,
            "compression.type": "lz4",
            "message.max.bytes": 10_000_000,
        }
    )


def command_producer(settings: Settings) -> Producer:
    """The producer of single commands: idempotent, durable on all in-sync replicas or an error in time."""
    return Producer(
        {
            **common(settings),
            "enable.idempotence": True,
            "acks": "all",
            "message.timeout.ms": int(settings.send_timeout * 1000),
            "linger.ms": 1,
            "compression.type": "lz4",
            "message.max.bytes": 2_000_000,
        }
    )


class Clients:
    """Where a processor gets its Kafka clients from; the simulator hands out others of the same face."""

    def input(self, settings: Settings, group: str, heard: Heard) -> Consumer:
        return input_consumer(settings, group, heard)

    def log(self, settings: Settings, name: str) -> Consumer:
        return log_consumer(settings, name)

    def probe(self, settings: Settings, group: str, isolation: str) -> Consumer:
        return probe_consumer(settings, group, isolation)

    def producer(self, settings: Settings, transactional_id: str) -> Producer:
        return transactional_producer(settings, transactional_id)

    def guard(self, hears: Callable[[], bool]) -> Guard:
        """How transactional calls are made. ``hears``: whether the brokers answer at this moment."""
        return Guard(hears)


class Heard:
    """When the brokers were last heard, from librdkafka's statistics. Read from any thread.

    The statistics' own ``consumer_lag`` knows nothing of offsets committed in transactions, so the lag is reckoned
    here: the end of each input partition less what is decided of it.
    """

    def __init__(self, prefix: str = "") -> None:
        self.at = time.monotonic()
        self.decided: Mapping[tuple[str, int], int] = {}
        """By input partition led, the offset up to which everything is decided. Set by the processor."""
        self._prefix = prefix

    def __call__(self, statistics: str) -> None:
        told = json.loads(statistics)
        brokers = told.get("brokers", {}).values()
        LAG.clear()
        for (topic, partition), upto in self.decided.items():
            parts = told.get("topics", {}).get(self._prefix + topic, {}).get("partitions", {})
            end = parts.get(str(partition), {}).get("ls_offset", -1)
            if end >= 0:
                LAG.labels(topic, partition).set(max(0, end - max(0, upto)))
        idle = [b["rxidle"] for b in brokers if b.get("state") == "UP" and b.get("rxidle", -1) >= 0]
        if idle:
            self.at = max(self.at, time.monotonic() - min(idle) / 1e6)

    def silent_for(self) -> float:
        """Seconds since the last byte from a broker."""
        return time.monotonic() - self.at


def end_of(consumer: Consumer, topic: str, partition: int, timeout: float) -> int:
    """The offset after the last record that a consumer of this isolation may come to see. Raises KafkaException."""
    marks = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=timeout)
    if marks is None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
    return int(marks[1])


def after_unreadable(probe: Consumer, topic: str, partition: int, first: int, timeout: float = 1.0) -> int:
    """The offset after a batch that no consumer can take apart, and that begins at ``first``. Raises KafkaException.

    A fetch from any offset within the batch fails with the batch's first one. So the end is found by halving what is
    left of the log. ``probe`` is a consumer that reads nothing else; ``topic`` is its name on the cluster.
    """
    low, high = first + 1, end_of(probe, topic, partition, timeout)
    while low < high:
        middle = (low + high) // 2
        probe.assign([TopicPartition(topic, partition, middle)])
        record = probe.poll(timeout)
        error = record.error() if record else None
        if record and error and error.code() in UNREADABLE and record.offset() == first:
            low = middle + 1
        else:
            high = middle
    probe.unassign()
    return low


def raw_of(record: Record, prefix: str) -> Raw:
    """A confluent-kafka message as a plain record, its topic without the prefix."""
    topic, partition, offset = record.topic(), record.partition(), record.offset()
    assert topic is not None and partition is not None and offset is not None
    headers, flaw = _headers_of(record)
    millis = record.timestamp()[1]
    return Raw(
        topic.removeprefix(prefix),
        partition,
        offset,
        record.key(),
        record.value(),
        headers,
        millis if 0 <= millis <= LATEST else 0,
        flaw,
    )


def unreadable(topic: str, partition: int, offset: int, error: KafkaError) -> Raw:
    """What stands in a log where a batch begins that cannot be taken apart."""
    return Raw(topic, partition, offset, None, None, [], 0, f"the batch cannot be read: {error.str()}")


_call_headers = methodcaller("headers")
"""``record.headers()`` with the interpreter's check of what C code returns. A name that is not UTF-8 leaves a tuple
with a hole, and an error that is set but not raised (confluent-kafka 2.16); a plain call, once it is hot, looks at
neither: the error surfaces anywhere, and whoever touches the tuple ends the process."""


def _headers_of(record: Record) -> tuple[Headers, str]:
    """A record's headers, or why it gives none. Asked a second time, the client would hand out broken tuples."""
    try:
        return cast(Headers, _call_headers(record) or []), ""
    except (SystemError, UnicodeDecodeError) as error:
        return [], f"the name of a header is not UTF-8 ({error})"


def transactionally(call: Callable[..., T], *args: Any) -> T:
    """One transactional call, repeated while it may be. Raises Aborted or Fenced: there is no fourth way.

    A call that may be repeated for longer than ``PATIENCE`` ends the process too.
    """
    began = time.monotonic()
    while True:
        try:
            return call(*args)
        except KafkaException as exception:
            error = exception.args[0]
            if error.retriable():
                if time.monotonic() - began > PATIENCE:
                    raise Fenced(
                        f"the producer gets no further for {PATIENCE:g} s: {error.str()}"
                    ) from exception
                log.warning("%s: %s, again", getattr(call, "__name__", call), error.str())
                continue
            if error.txn_requires_abort():
                raise Aborted(error.str()) from exception
            reason = Superseded if error.fatal() else Fenced
            raise reason(f"the producer may not go on: {error.str()}") from exception


class Cluster:
    """What the cluster says of itself: its id, and the id and partition count of topics."""

    def __init__(
        self, settings: Settings, topics: list[str], beside: Sequence[str] = (), timeout: float = 10.0
    ) -> None:
        """``topics`` have one number of partitions, those ``beside`` them any. Raises Unavailable or Fenced."""
        from confluent_kafka import TopicCollection

        admin = AdminClient(common(settings))
        names = [settings.topic(t) for t in (*topics, *beside)]
        try:
            self.id = str(admin.list_topics(timeout=timeout).cluster_id)
            described = admin.describe_topics(TopicCollection(names), request_timeout=timeout)
        except KafkaException as exception:
            raise Unavailable(
                f"no answer from the brokers at {settings.bootstrap_servers}: {exception.args[0].str()}. "
                "Is this their address (EVENTBUS_BOOTSTRAP_SERVERS), and do they run?"
            ) from exception
        found = _described(described, settings)
        self.topic_ids = {t: str(found[settings.topic(t)].topic_id) for t in topics}
        counts = {t: len(found[settings.topic(t)].partitions) for t in topics}
        if len(set(counts.values())) != 1:
            raise Fenced(f"co-partitioned topics must have the same number of partitions, found {counts}")
        self.partitions = next(iter(counts.values()))


def _described(futures: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """What the cluster says of each topic. Raises Unavailable, which names those that are missing."""
    found: dict[str, Any] = {}
    missing: list[str] = []
    for name, future in futures.items():
        try:
            found[name] = future.result()
        except KafkaException as exception:
            error = exception.args[0]
            if error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise Unavailable(
                    f"cannot describe the topic {name} at {settings.bootstrap_servers}: {error.str()}"
                ) from exception
            missing.append(name)
    if missing:
        raise Unavailable(
            f"missing at {settings.bootstrap_servers}: {', '.join(missing)}. "
            "Create them: `python -m eventbus.topics`, with the same EVENTBUS_TOPIC_PREFIX"
        )
    return found
