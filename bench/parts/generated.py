"""A system at the references' broker whose logs were generated, and single services of it."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from bench.bare.clients import create_topics
from bench.generate_orders import NotGenerated, generate
from bench.orders import PACE, Plan
from bench.parts.passage import STAMPED
from bench.processes import Module, NotMeasured
from bench.run import PARTITIONS, REPLICATION, Run
from eventbus import Settings
from eventbus.kafka.topics import create
from tools.registry import BY_NAME
from tools.stack.ports import free_port
from tools.wiring import topics

SEED = 11
PATIENCE = 1_800.0


class Generated:
    """Topics under a prefix of their own. ``stamped``: logs whose records the broker stamps with its own clock."""

    def __init__(self, bench: Run, *, stamped: tuple[str, ...] = ()) -> None:
        self.name = f"g{uuid.uuid4().hex[:8]}"
        self.folder = bench.run_dir / self.name
        self.settings = Settings(
            bootstrap_servers=bench.kafka.bootstrap_servers,
            topic_prefix=f"{self.name}.",
            partitions=PARTITIONS,
            replication_factor=REPLICATION,
        )
        config = {**STAMPED, "retention.ms": "-1"}
        names = [self.settings.topic(log) for log in stamped]
        if names:
            create_topics(self.settings.bootstrap_servers, names, PARTITIONS, REPLICATION, config)
        create(self.settings, topics())
        self.gateway_port = free_port()

    @property
    def gateway(self) -> Path:
        """The payment simulator's record."""
        return self.folder / "payments.db"

    def fill(self, plan: Plan) -> dict[str, int]:
        """Generate orders; returns how many records each topic has. Raises NotMeasured."""
        try:
            return generate(self.settings, plan, self.gateway)
        except NotGenerated as error:
            raise NotMeasured(str(error)) from error

    def service(self, name: str, port: int, **env: str) -> Module:
        """One replica of a service, which begins without state unless it ran here before."""
        place = {
            "EVENTBUS_BOOTSTRAP_SERVERS": self.settings.bootstrap_servers,
            "EVENTBUS_TOPIC_PREFIX": self.settings.topic_prefix,
            "EVENTBUS_STATE_DIR": str(self.folder / "state"),
            "EVENTBUS_HTTP_PORT": str(port),
            "PAYMENT_GATEWAY_URL": self.gateway_url,
            "NOTIFICATION_FILE": "none",
        }
        return Module(self.folder / f"{name}.log", BY_NAME[name].package, env={**place, **env})

    @property
    def gateway_url(self) -> str:
        """Where the simulator answers."""
        return f"http://127.0.0.1:{self.gateway_port}"

    def simulator(self, **env: str) -> Module:
        """The payment simulator."""
        place = {"SIMULATOR_PORT": str(self.gateway_port), "SIMULATOR_DB": str(self.gateway)}
        return Module(self.folder / "simulator.log", "services.payment.simulator", env={**place, **env})


def plan(orders: int, **choice: object) -> Plan:
    """So many orders, of which the last one is of this moment."""
    begin = time.time_ns() // 1_000_000 - orders * PACE // PARTITIONS
    return Plan(orders, SEED, begin, **choice)  # type: ignore[arg-type]
