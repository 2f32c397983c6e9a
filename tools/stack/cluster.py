"""Three brokers (or more) as local processes, for tests of what one broker cannot show: failover and lost leaders."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from tools.stack.kafka import LocalKafka, new_cluster_id
from tools.stack.ports import free_ports
from tools.stack.settings import StackError

if TYPE_CHECKING:
    from confluent_kafka.admin._metadata import ClusterMetadata

HEAP = "256m"


def replicated(brokers: int) -> dict[str, str | int]:
    """Broker settings for topics with a replica on up to three brokers, of which one may be away."""
    copies = min(3, brokers)
    enough = max(1, copies - 1)
    return {
        "default.replication.factor": copies,
        "min.insync.replicas": enough,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": enough,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": enough,
        # the others lead on for one that is away, so it is missed soon
        "broker.session.timeout.ms": 3000,
        # an unclean leader may have lost a marker, and then readers of committed records stand still for ever
        "unclean.leader.election.enable": "false",
        # brokers that share a machine's cores: fewer threads and fewer internal logs shorten transactions by a third
        "num.network.threads": 1,
        "num.io.threads": 2,
        "background.threads": 2,
        "group.coordinator.threads": 1,
        "offsets.topic.num.partitions": 3,
        "transaction.state.log.num.partitions": 3,
        # leadership comes back to a broker that was away, soon enough to see it in a test
        "leader.imbalance.check.interval.seconds": 10,
    }


@dataclass
class LocalCluster:
    """Brokers that are controllers too, as child processes; each can be killed, frozen and started again.

        with LocalCluster(tmp_path) as cluster:
            cluster.brokers[1].kill()

    Topics should be created with ``EVENTBUS_REPLICATION_FACTOR=3``. With three brokers one may be away at a time:
    without two there is neither a quorum of controllers nor of replicas.
    """

    run_dir: Path
    count: int = 3
    heap: str = HEAP
    overrides: Mapping[str, str | int] = field(default_factory=dict)
    host: str = "127.0.0.1"
    """The address clients come to; one of this machine's."""
    brokers: list[LocalKafka] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        ports = free_ports(2 * self.count)
        cluster, controllers = new_cluster_id(), ports[self.count :]
        voters = ",".join(f"{i + 1}@127.0.0.1:{port}" for i, port in enumerate(controllers))
        for i in range(self.count):
            own: dict[str, str | int] = {"node.id": i + 1, "controller.quorum.voters": voters}
            self.brokers.append(
                LocalKafka(
                    self.run_dir / f"broker-{i + 1}",
                    port=ports[i],
                    controller_port=controllers[i],
                    heap=self.heap,
                    overrides={**replicated(self.count), **own, **self.overrides},
                    host=self.host,
                    cluster=cluster,
                    short_lived=True,
                )
            )

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(broker.bootstrap_servers for broker in self.brokers)

    def start(self, timeout: float = 90.0) -> LocalCluster:
        """Start all brokers and return once each is in the cluster; raises StackError after ``timeout`` (s)."""
        try:
            for broker in self.brokers:
                broker.run_dir.mkdir(parents=True, exist_ok=True)
                broker.launch()
            for broker in self.brokers:
                broker.wait(timeout)
            deadline = time.monotonic() + timeout
            while self.members() < self.count:
                if time.monotonic() > deadline:
                    raise StackError(f"Only {self.members()} of {self.count} brokers are in the cluster.")
                time.sleep(0.1)
        except StackError:
            self.kill()
            raise
        return self

    def members(self) -> int:
        """How many brokers the cluster says it has."""
        return len(self._metadata().brokers)

    def leader(self, topic: str, partition: int) -> LocalKafka:
        """The broker that leads a partition. Raises StackError if none does."""
        found = self._metadata(topic).topics[topic].partitions.get(partition)
        if found is None or found.leader < 1:
            raise StackError(f"{topic}-{partition} has no leader now.")
        return self.brokers[found.leader - 1]

    def coordinator(self, group: str) -> LocalKafka:
        """The broker that coordinates a consumer group."""
        partitions = len(self._metadata("__consumer_offsets").topics["__consumer_offsets"].partitions)
        return self.leader("__consumer_offsets", _java_hash(group) % partitions)

    def is_whole(self, timeout: float = 5.0) -> bool:
        """Whether every broker is there and every replica of every partition in sync."""
        if not all(broker.alive for broker in self.brokers):
            return False
        try:
            metadata = self._metadata(timeout=timeout)
        except StackError:
            return False
        partitions = [p for topic in metadata.topics.values() for p in topic.partitions.values()]
        return len(metadata.brokers) == self.count and all(len(p.isrs) == len(p.replicas) for p in partitions)

    def _metadata(self, topic: str | None = None, timeout: float = 5.0) -> ClusterMetadata:
        # imported here so that the verbs of the stack work with a Python that has only the standard library
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        client = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        try:
            return client.list_topics(topic, timeout) if topic else client.list_topics(timeout=timeout)
        except KafkaException as error:
            raise StackError(f"The cluster does not answer: {error.args[0].str()}") from error

    def stop(self) -> None:
        """End all brokers in order, at once: the last ones need no quorum to go."""
        for broker in self.brokers:
            broker.resume()
            if broker.process is not None:
                broker.process.terminate()
        for broker in self.brokers:
            broker.stop(timeout=10.0)

    def kill(self) -> None:
        """End all brokers at once (SIGKILL)."""
        for broker in self.brokers:
            broker.kill()

    def __enter__(self) -> LocalCluster:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _java_hash(text: str) -> int:
    """``Math.abs(String.hashCode())`` as Kafka reckons a group's partition from it."""
    found = 0
    for character in text:
        found = (31 * found + ord(character)) & 0xFFFFFFFF
    return found & 0x7FFFFFFF
