"""Apache Kafka as one local process: KRaft, broker and controller in one, no ZooKeeper."""

from __future__ import annotations

import atexit
import base64
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tools.stack.jars import find_jars
from tools.stack.java import find_java
from tools.stack.ports import free_port
from tools.stack.settings import StackError, StackSettings

LONG_LIVED = ("-XX:+UseSerialGC",)
"""Of the JVM. On a small heap G1 takes 0.7 ms of processor time a transaction more, for short pauses that nobody here
needs."""
SHORT_LIVED = ("-XX:TieredStopAtLevel=1", *LONG_LIVED)
"""For a broker that will not live long enough, or do too little, to repay what compiling it well costs."""
SETTINGS: Mapping[str, str | int] = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    # one node: every internal topic has one replica
    "default.replication.factor": 1,
    "min.insync.replicas": 1,
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    # fewer partitions than the default 50 make the first start shorter
    "offsets.topic.num.partitions": 8,
    "transaction.state.log.num.partitions": 8,
    "share.coordinator.state.topic.num.partitions": 2,
    # A killed broker is let in again once its predecessor's session is over (9 s by default). One that stood still
    # for longer than that is fenced when it goes on, and if it is the only one, names no broker for a moment: some
    # clients never find it again (librdkafka 2.16). So a freeze of 5 s must fit in.
    "broker.session.timeout.ms": 7000,
    "broker.heartbeat.interval.ms": 500,
    # a replica that dies is replaced within seconds instead of 45
    "group.initial.rebalance.delay.ms": 0,
    "group.consumer.session.timeout.ms": 3000,
    "group.consumer.min.session.timeout.ms": 1000,
    "group.consumer.heartbeat.interval.ms": 500,
    "group.consumer.min.heartbeat.interval.ms": 100,
    # range keeps partition i of every input with one member
    "group.consumer.assignors": "uniform,range",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
    # nobody may keep a topic's readers waiting behind an open transaction for the 15 minutes of the default
    "transaction.max.timeout.ms": 60_000,
    # a stack left alone for months still knows where its services were
    "offsets.retention.minutes": 5_256_000,
    "message.max.bytes": 10_485_760,
    "replica.fetch.max.bytes": 10_485_760,
    "socket.request.max.bytes": 104_857_600,
    # 128 MB by default, from a heap of 512
    "log.cleaner.dedupe.buffer.size": 33_554_432,
}


def server_properties(
    data_dir: Path,
    port: int,
    controller_port: int,
    overrides: Mapping[str, str | int] | None = None,
    host: str = "127.0.0.1",
) -> str:
    """The broker's configuration file: clients come to ``host``, ``overrides`` last."""
    listeners = f"PLAINTEXT://{host}:{port},CONTROLLER://127.0.0.1:{controller_port}"
    properties: dict[str, str | int] = {
        **SETTINGS,
        "listeners": listeners,
        "advertised.listeners": f"PLAINTEXT://{host}:{port}",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "log.dirs": str(data_dir),
        **(overrides or {}),
    }
    return "".join(f"{name}={value}\n" for name, value in properties.items())


def prepare_broker(
    kafka_dir: Path,
    port: int,
    controller_port: int,
    *,
    cache_dir: Path,
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, str | int] | None = None,
    heap: str = "512m",
    host: str = "127.0.0.1",
    cluster: str = "",
    short_lived: bool = False,
) -> list[str]:
    """Write the configuration below ``kafka_dir``, format the storage once, and return the broker's command.

    ``cluster`` is the id the storage is formatted with, a new one if empty: nodes of one cluster share theirs.
    ``short_lived``: the broker will not live long enough to repay what compiling it well costs.
    Raises StackError if Java or Kafka's jars cannot be had, or the storage cannot be formatted.
    """
    env = os.environ if env is None else env
    java = find_java(env)
    libs = find_jars(env, cache_dir, java)
    data_dir = kafka_dir / "data"
    data_dir.mkdir(parents=True, exist_ok=True)
    properties = kafka_dir / "server.properties"
    properties.write_text(server_properties(data_dir, port, controller_port, overrides, host))
    logging = Path(__file__).with_name("log4j2.yaml")
    ways = SHORT_LIVED if short_lived else LONG_LIVED
    run = [str(java), f"-Xmx{heap}", "-Djava.awt.headless=true", *ways]
    run += ["-XX:+ExitOnOutOfMemoryError", f"-Dlog4j2.configurationFile={logging}", "-cp", f"{libs}/*"]
    if not (data_dir / "meta.properties").exists():
        cluster = cluster or new_cluster_id()
        format_storage = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)]
        command = [str(java), *SHORT_LIVED, "-Djava.awt.headless=true", *run[-3:], *format_storage]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            last = last_line(done.stdout + done.stderr)
            raise StackError(f"Kafka's storage in {data_dir} could not be formatted: {last}")
    return [*run, "kafka.Kafka", str(properties)]


def new_cluster_id() -> str:
    """An id no cluster has: 16 random bytes, as Kafka writes them."""
    while True:
        made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not made.startswith("-"):  # Kafka's storage tool would take it for an option
            return made


def last_line(text: str) -> str:
    """The last line that says anything."""
    return (text.strip().splitlines() or ["it printed nothing"])[-1].strip()


def cluster_id(kafka_dir: Path) -> str:
    """The id that formatting gave the storage below ``kafka_dir``."""
    lines = (kafka_dir / "data" / "meta.properties").read_text().splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith("cluster.id="))


def answering_cluster(bootstrap_servers: str, timeout: float = 1.0) -> str:
    """The id of the cluster that gives its metadata within ``timeout`` (s); empty if none does."""
    # imported here so that `down`, `ps` and `clean` work with a Python that has only the standard library
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    client = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    try:
        metadata = client.list_topics(timeout=timeout)
    except KafkaException:
        return ""
    return str(metadata.cluster_id) if metadata.brokers else ""


def wait_for_broker(bootstrap_servers: str, cluster: str, timeout: float, gave_up: Callable[[], str]) -> None:
    """Return once the broker of this cluster answers.

    Raises StackError when ``gave_up()`` says why it will not, another cluster answers, or time is over.
    """
    deadline = time.monotonic() + timeout
    while (found := answering_cluster(bootstrap_servers)) != cluster:
        if found:
            raise StackError(
                f"Another Kafka (cluster {found}) answers on {bootstrap_servers}: stop it, "
                "or choose another port with STACK_KAFKA_PORT."
            )
        if reason := gave_up():
            other = "UnsupportedVersion" in reason
            hint = " Its data is of another version of Kafka: `make clean` forgets it." if other else ""
            raise StackError(f"Kafka is not ready, {reason}.{hint}")
        if time.monotonic() > deadline:
            raise StackError(
                f"Kafka does not answer on {bootstrap_servers} after {timeout:.0f} s: see its log."
            )


@dataclass
class LocalKafka:
    """A broker of its own as a child process, for tests.

        with LocalKafka(tmp_path) as kafka:
            producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})

    Data stays in ``run_dir/kafka``, so ``stop(); start()`` continues where it was. Ports are free ones unless
    given.
    """

    run_dir: Path
    port: int = 0
    controller_port: int = 0
    heap: str = "384m"
    overrides: Mapping[str, str | int] = field(default_factory=dict)
    host: str = "127.0.0.1"
    """The address clients come to; one of this machine's."""
    cluster: str = ""
    """The id of the cluster this node belongs to; a cluster of its own if empty."""
    short_lived: bool = False
    """Whether it will not live long enough to repay what compiling it well costs."""
    cache_dir: Path = field(default_factory=lambda: StackSettings.from_env(os.environ).cache_dir)
    process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.port = self.port or free_port()
        self.controller_port = self.controller_port or free_port()

    @property
    def bootstrap_servers(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def log(self) -> Path:
        """What the broker printed."""
        return self.run_dir / "kafka" / "broker.log"

    def start(self, timeout: float = 60.0) -> LocalKafka:
        """Start the broker and return once it answers, within ``timeout`` (s); else raises StackError."""
        self.launch()
        return self.wait(timeout)

    def launch(self) -> None:
        """Start the broker's process, and do not wait. Raises StackError if it cannot be prepared."""
        command = prepare_broker(
            self.run_dir / "kafka",
            self.port,
            self.controller_port,
            cache_dir=self.cache_dir,
            overrides=self.overrides,
            heap=self.heap,
            host=self.host,
            cluster=self.cluster,
            short_lived=self.short_lived,
        )
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=self.run_dir)
        atexit.register(self.kill)

    def wait(self, timeout: float = 60.0) -> LocalKafka:
        """Return once a broker that was launched answers, within ``timeout`` (s); else ends it: StackError."""
        try:
            cluster = cluster_id(self.run_dir / "kafka")
            wait_for_broker(self.bootstrap_servers, cluster, timeout, self._ended)
        except StackError:
            self.kill()
            raise
        return self

    def _ended(self) -> str:
        if self.process is None or self.process.poll() is None:
            return ""
        return f"it ended with status {self.process.returncode} ({last_line(self.log.read_text())})"

    def stop(self, timeout: float = 30.0) -> None:
        """End the broker in order (SIGTERM), or by force when ``timeout`` (s) is over."""
        self._end(signal.SIGTERM, timeout)

    def kill(self) -> None:
        """End the broker at once (SIGKILL), as a crash would."""
        self._end(signal.SIGKILL, 30.0)

    def pause(self) -> None:
        """Freeze the broker (SIGSTOP): connections stay open, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen broker go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.alive:
            self.process.send_signal(number)

    def _end(self, number: signal.Signals, timeout: float) -> None:
        atexit.unregister(self.kill)
        if self.process is None:
            return
        self._signal(number)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def __enter__(self) -> LocalKafka:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
