"""A system of its own for each test: topics under a prefix, a state directory, and the processes it starts."""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from pathlib import Path
from typing import Any

import httpx

from eventbus.kafka.topics import create
from eventbus.settings import Settings
from tests.support.processes import ROOT, ServiceProcess, python
from tests.support.topic_client import TopicClient
from tests.support.waiting import eventually
from tools.registry import BY_NAME, STARTED
from tools.stack.ports import free_port
from tools.wiring import topics

SERVICES = tuple(service.name for service in STARTED)
OWN_LOGS = {service.name: service.logs for service in STARTED}


class System:
    """Everything of one test. ``directory`` holds state, logs and the simulator's record.

    ``prefix`` stands before its topics: one that nobody has, unless given.
    """

    def __init__(
        self, bootstrap_servers: str, directory: Path, partitions: int = 3, prefix: str | None = None
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.settings = Settings(
            bootstrap_servers=bootstrap_servers,
            topic_prefix=f"t{uuid.uuid4().hex[:8]}." if prefix is None else prefix,
            partitions=partitions,
            state_dir=directory / "state",
        )
        create(self.settings, topics())
        self.topics = TopicClient(self.settings)
        self.processes: list[ServiceProcess] = []
        self._simulator_port = free_port()

    def service(
        self, name: str, slot: int = 0, *, module: str | None = None, tree: str | Path = ROOT, **env: str
    ) -> ServiceProcess:
        """One replica of a service, not started. ``module`` takes the place of its package, ``tree`` has its code."""
        command = python(module, name) if module else python(BY_NAME[name].package)
        return self._process(
            f"{name}-{slot}", command, free_port(), Path(tree), EVENTBUS_SLOT=str(slot), **env
        )

    def start(self, *names: str, slot: int = 0, **env: str) -> list[ServiceProcess]:
        """Start one replica of each service, and return them once they are ready."""
        started = [self.service(name, slot, tree=ROOT, **env).start() for name in names]
        return [process.wait_ready() for process in started]

    def simulator(self, **env: str) -> Simulator:
        """The payment simulator, started and ready."""
        process = self._process(
            "simulator",
            python("services.payment.simulator"),
            self._simulator_port,
            ROOT,
            SIMULATOR_PORT=str(self._simulator_port),
            SIMULATOR_DB=str(self.directory / "simulator.db"),
            PAYMENT_SUCCESS_RATE="1",
            **env,
        )
        process.start().wait_ready()
        return Simulator(process)

    def _process(self, name: str, command: list[str], port: int, tree: Path, **env: str) -> ServiceProcess:
        shared = {
            "PYTHONPATH": f"{tree}{os.pathsep}{tree / 'libs' / 'eventbus'}",
            "PYTHONUNBUFFERED": "1",
            "EVENTBUS_BOOTSTRAP_SERVERS": self.settings.bootstrap_servers,
            "EVENTBUS_TOPIC_PREFIX": self.settings.topic_prefix,
            "EVENTBUS_STATE_DIR": str(self.settings.state_dir),
            "EVENTBUS_HTTP_PORT": str(port),
            "PAYMENT_GATEWAY_URL": f"http://127.0.0.1:{self._simulator_port}",
            "NOTIFICATION_FILE": str(self.directory / "notifications.log"),
        }
        log = self.directory / f"{name}.log"
        process = ServiceProcess(name, command, {**shared, **env}, port, log, cwd=tree)
        self.processes.append(process)
        return process

    def stock(self, inventory: ServiceProcess, quantity: int, *products: str) -> None:
        """Put that many pieces of each product in stock."""
        for product in products:
            body = {"quantity": quantity, "reason": "delivery"}
            answer = inventory.post(f"/stock/{product}/adjustments", json=body)
            assert answer.status_code == 202, answer.text

    def database(self, service: str, slot: int = 0) -> Path:
        """Where a replica keeps its state."""
        return self.settings.state_dir / f"{service}-{slot}" / "state.sqlite"

    def transactional_id(self, service: str, slot: int = 0) -> str:
        """The transactional id of a replica that has started, without the prefix."""
        identity = (self.settings.state_dir / f"{service}-{slot}" / "identity").read_text().strip()
        return f"{service}-{slot}-{identity}"

    def dump(self, service: str, slot: int = 0) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of a replica's state and projections, by table, in a stable order."""
        with sqlite3.connect(f"file:{self.database(service, slot)}?mode=ro", uri=True) as db:
            db.execute("PRAGMA busy_timeout=5000")
            names = [n for (n,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            # Of a checkpoint only what it covers counts: the marker after the last event may be passed or not.
            wanted = sorted(n for n in names if not n.startswith("sqlite_") and n != "checkpoints")
            return {n: sorted(map(tuple, db.execute(f'SELECT * FROM "{n}"')), key=repr) for n in wanted}

    def wait_consumed(self, *services: str, timeout: float = 60.0) -> None:
        """Return once each service, of which a replica runs, has committed all its input."""
        for service in services:
            eventually(lambda s=service: self._is_consumed(s), f"{service} has decided all", timeout)  # type: ignore[misc]

    def _is_consumed(self, service: str) -> bool:
        # A partition of which nothing is committed yet is behind by all it holds.
        inputs = {topic for member in self.topics.assignments(service) for topic in member}
        committed = self.topics.committed(service)
        lag = {
            (topic, partition): end - max(committed.get((topic, partition), 0), 0)
            for topic, ends in self.topics.ends(*inputs).items()
            for partition, end in enumerate(ends)
        }
        assert all(behind <= 0 for behind in lag.values()), f"{service} is behind: {lag}"
        return bool(lag)

    def close(self) -> None:
        """End every process and forget the topics."""
        for process in reversed(self.processes):
            process.kill()
            process.http.close()
        self.topics.close()


class Simulator:
    """The payment simulator and its record."""

    def __init__(self, process: ServiceProcess) -> None:
        self.process = process

    def record(self) -> list[dict[str, Any]]:
        """Every attempt on record, oldest first."""
        lines = self.process.get("/record").text.splitlines()
        return [json.loads(line) for line in lines]

    def doubles(self) -> list[dict[str, Any]]:
        """Orders charged or refunded more than once."""
        found: list[dict[str, Any]] = self.process.get("/doubles").json()
        return found

    def calls(self) -> dict[str, int]:
        """How often each call came since the process started."""
        counted: dict[str, int] = self.process.get("/calls").json()
        return counted


def problem(answer: httpx.Response) -> dict[str, Any]:
    """The body of a problem+json answer."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body: dict[str, Any] = answer.json()
    return body
