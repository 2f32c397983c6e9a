"""The bare services as a reference: an app that takes orders, the four that carry them on, a payment simulator."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from types import TracebackType

from bench.bare.clients import create_topics
from bench.bare.flow.records import SERVICES, TOPICS
from bench.bare_app import START, BareApp
from bench.processes import Module
from bench.run import PARTITIONS, REPLICATION, Run
from eventbus import Settings
from tools.stack.ports import free_port
from tools.system import System


class BareFlow:
    """``bench.bare.flow`` beside the references' broker while the ``with`` lasts, on topics of its own."""

    def __init__(self, bench: Run) -> None:
        self._bench, self._stack = bench, ExitStack()
        self._prefix = f"flow-{uuid.uuid4().hex[:8]}."
        self._gateway = f"http://127.0.0.1:{free_port()}"
        self._app = BareApp(bench, f"{self._prefix}order.commands")
        self._logs = bench.run_dir / "logs"
        record = bench.run_dir / f"{self._prefix}payments.db"
        env = {"SIMULATOR_PORT": self._gateway.rpartition(":")[2], "SIMULATOR_DB": str(record)}
        self._parts = {
            "simulator": Module(self._logs / "flow-simulator.log", "services.payment.simulator", env=env)
        }
        for name in SERVICES:
            self._parts[name] = self._service(name)

    def _service(self, name: str) -> Module:
        servers = self._bench.kafka.bootstrap_servers
        arguments = [name, "--servers", servers, "--prefix", self._prefix, "--gateway", self._gateway]
        return Module(self._logs / f"flow-{name}.log", "bench.bare.flow", arguments)

    @property
    def system(self) -> System:
        """Where orders are posted, and where it can be heard that they are CONFIRMED."""
        kafka = Settings(
            bootstrap_servers=self._bench.kafka.bootstrap_servers,
            topic_prefix=self._prefix,
        )
        return System(order=self._app.url, inventory="", gateway=self._gateway, kafka=kafka)

    @property
    def pids(self) -> dict[str, int]:
        """All processes that carry an order, the broker among them."""
        parts = {name: part.pid for name, part in self._parts.items()}
        return {"app": self._app.pid, "broker": self._bench.broker, **parts}

    def __enter__(self) -> BareFlow:
        servers, topics = self._bench.kafka.bootstrap_servers, [self._prefix + topic for topic in TOPICS]
        create_topics(servers, topics, PARTITIONS, REPLICATION)
        with ExitStack() as stack:
            for part in self._parts.values():
                stack.enter_context(part)
            stack.enter_context(self._app)
            self._parts["simulator"].wait_ready(f"{self._gateway}/healthz", START)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def check(self) -> None:
        """Raises NotMeasured if one of the processes has ended."""
        for part in self._parts.values():
            part.check()
