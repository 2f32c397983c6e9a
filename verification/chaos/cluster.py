"""The system under chaos: brokers, the payment simulator and replicas of the services, on ports of its own."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from eventbus.kafka.topics import create
from eventbus.settings import Settings
from tools.registry import BY_NAME, STARTED
from tools.stack.cluster import LocalCluster
from tools.stack.ports import free_ports
from tools.stack.ready import is_ready, request, wait_ready
from tools.stack.settings import ROOT, StackError
from tools.system import System
from tools.wiring import topics
from verification.audit.elsewhere import audit_by
from verification.audit.judge import AuditResult
from verification.audit.run import audit
from verification.chaos.processes import Child, Children

SERVICES = tuple(service.name for service in STARTED)
SIMULATOR = "simulator"
PARTITIONS = 3


@dataclass(frozen=True)
class Placement:
    """How one replica differs from the others: its ``env``, the arguments ``before`` its command, the ``module``
    that takes the place of the service's package and is given the name, the ``host`` it listens on."""

    env: Mapping[str, str] = field(default_factory=dict)
    before: Sequence[str] = ()
    module: str = ""
    host: str = "127.0.0.1"


class ChaosCluster:
    """Start with ``with``; ends all it started. ``env`` is added to every service's environment.

    ``replicas`` of each service, or of those named (one of the others); ``cluster``: brokers that run already.
    ``placements``, by name such as ``order-1``, may be changed until :meth:`start`.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        replicas: int | Mapping[str, int] = 2,
        brokers: int = 3,
        env: Mapping[str, str] | None = None,
        cluster: LocalCluster | None = None,
    ) -> None:
        self.run_dir = run_dir
        self.cluster = cluster or LocalCluster(run_dir / "kafka", brokers)
        self._own_cluster = cluster is None
        self.children = Children(run_dir / "logs")
        counts = dict.fromkeys(SERVICES, replicas) if isinstance(replicas, int) else replicas
        self.replicas = {s: [f"{s}-{k}" for k in range(counts.get(s, 1))] for s in SERVICES}
        self.placements: dict[str, Placement] = {}
        names = [name for some in self.replicas.values() for name in some]
        ports = free_ports(len(names) + 1)
        self.ports = dict(zip([*names, SIMULATOR], ports, strict=True))
        self.extra = dict(env or {})

    @property
    def kafka(self) -> Settings:
        """What a client of the brokers needs."""
        return Settings(
            bootstrap_servers=self.cluster.bootstrap_servers,
            topic_prefix=self.extra.get("EVENTBUS_TOPIC_PREFIX", ""),
            partitions=PARTITIONS,
            replication_factor=min(3, self.cluster.count),
            state_dir=self.run_dir / "state",
        )

    @property
    def services(self) -> list[str]:
        """The names of all replicas."""
        return [name for some in self.replicas.values() for name in some]

    def url(self, name: str) -> str:
        """Where a replica, or the simulator, answers."""
        return f"http://{self._placement(name).host}:{self.ports[name]}"

    def _placement(self, name: str) -> Placement:
        return self.placements.get(name, Placement())

    def urls(self, service: str) -> list[str]:
        """Where the replicas of a service answer."""
        return [self.url(name) for name in self.replicas[service]]

    def child(self, name: str) -> Child:
        return self.children.by_name[name]

    def environment(self, name: str) -> dict[str, str]:
        """The environment of a replica or of the simulator."""
        port = str(self.ports[name])
        slot = name.rpartition("-")[2]
        own = (
            {"SIMULATOR_PORT": port, "SIMULATOR_DB": str(self.run_dir / "simulator" / "payments.db")}
            if name == SIMULATOR
            else {
                "EVENTBUS_HTTP_PORT": port,
                "EVENTBUS_HTTP_HOST": self._placement(name).host,
                "EVENTBUS_SLOT": slot,
            }
        )
        return {
            "PYTHONUNBUFFERED": "1",
            "EVENTBUS_BOOTSTRAP_SERVERS": self.cluster.bootstrap_servers,
            "EVENTBUS_STATE_DIR": str(self.run_dir / "state"),
            "PAYMENT_GATEWAY_URL": self.url(SIMULATOR),
            "NOTIFICATION_FILE": str(self.run_dir / "notifications.log"),
            **own,
            **self.extra,
            **self._placement(name).env,
        }

    def _command(self, service: str, name: str) -> list[str]:
        placement = self._placement(name)
        run = ["-m", placement.module, service] if placement.module else ["-m", BY_NAME[service].package]
        return [*placement.before, sys.executable, *run]

    def start(self) -> ChaosCluster:
        """Start everything; returns once all is ready. Raises StackError."""
        if self._own_cluster:
            self.cluster.start()
        create(self.kafka, topics())
        self.children.add(
            SIMULATOR, [sys.executable, "-m", "services.payment.simulator"], self.environment(SIMULATOR)
        )
        for service, names in self.replicas.items():
            for name in names:
                self.children.add(name, self._command(service, name), self.environment(name))
        self.wait_ready(120.0)
        return self

    def wait_ready(self, timeout: float = 60.0, *names: str) -> None:
        """Return once the named processes (by default all) are ready. Raises StackError."""
        probes = {name: lambda name=name: is_ready(self.url(name)) for name in names or self.ports}
        try:
            wait_ready(probes, timeout, lambda waiting: "")
        except StackError as error:
            ends = [f"{n}: {self.child(n).tail(5)}" for n in names or self.ports if not is_ready(self.url(n))]
            raise StackError("\n".join([str(error), *ends])) from error

    def leads(self, name: str) -> int:
        """How many tasks a replica leads; 0 if it does not answer."""
        for line in request(f"{self.url(name)}/metrics", timeout=2.0)[1].splitlines():
            if line.startswith("eventbus_tasks_led"):
                return int(float(line.rpartition(" ")[2]))
        return 0

    def wait_shared(self, timeout: float = 60.0) -> None:
        """Return once every task is led, and every replica leads some. Raises StackError."""
        deadline = time.monotonic() + timeout
        while True:
            led = {s: [self.leads(name) for name in names] for s, names in self.replicas.items()}
            if all(sum(some) == PARTITIONS and all(some) for some in led.values()):
                return
            if time.monotonic() > deadline:
                raise StackError(f"The tasks are not shared after {timeout:.0f} s: {led}.")
            time.sleep(0.2)

    def audit(self, wait: float = 10.0, tree: Path = ROOT) -> AuditResult:
        """The result of the audit, after up to ``wait`` seconds for what is under way.

        ``tree``: the code that reads the topics, for messages in versions that today's code does not know. Raises
        KafkaAway, GatewayAway.
        """
        where = System(
            order=self.urls("order")[0],
            inventory=self.urls("inventory")[0],
            gateway=self.url(SIMULATOR),
            kafka=self.kafka,
        )
        return audit(where, wait=wait) if tree == ROOT else audit_by(tree, where, wait)

    def heal(self) -> None:
        """End every fault: thaw what is frozen, start what has ended."""
        for broker in self.cluster.brokers:
            broker.resume()
            if not broker.alive:
                broker.kill()
                broker.launch()
        for name, child in self.children.by_name.items():
            child.thaw()
            self.children.start(name)
        for broker in self.cluster.brokers:
            broker.wait()

    def close(self) -> None:
        """End everything this started."""
        self.children.close()
        if self._own_cluster:
            self.cluster.stop()

    def __enter__(self) -> ChaosCluster:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
