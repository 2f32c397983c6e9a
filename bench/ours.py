"""A stack of this repository, or of another commit of it, as ``make up`` starts it, on ports of its own."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from bench.processes import NotMeasured
from eventbus import Settings
from tools.stack.ports import is_free
from tools.stack.settings import ROOT, StackError, StackSettings
from tools.stack.supervisor import Supervisor
from tools.system import System
from verification.trees import python_path

OFFSETS = (0, 1, 2, 3, 4, 90)
"""Ports beside the base that a stack of one replica each uses."""
TIMEOUT = 240.0
"""Seconds for a stack to start: the first one fetches Kafka's jars."""


class Ours:
    """A stack of the code in ``tree``, run by ``python``. It starts with ``with``, and all of it is gone after it.

    ``env`` is added to the environment of its services.
    """

    def __init__(
        self, run_dir: Path, python: Path, tree: Path = ROOT, env: Mapping[str, str] | None = None
    ) -> None:
        ours = StackSettings.from_env(os.environ)
        base, kafka = free_places()
        self.settings = StackSettings(run_dir.resolve(), base, kafka, "bench", ours.cache_dir)
        self._python, self._tree, self._env = python, tree, dict(env or {})

    @property
    def system(self) -> System:
        """Where it answers."""
        return System(
            order=self.settings.url("order"),
            inventory=self.settings.url("inventory"),
            gateway=f"http://127.0.0.1:{self.settings.simulator_port}",
            kafka=Settings(bootstrap_servers=self.settings.bootstrap_servers),
        )

    @property
    def pids(self) -> dict[str, int]:
        """The processes that run: Kafka, the simulator and the services, by name."""
        found = Supervisor(self.settings.run_dir).processes()
        return {name: int(info["pid"]) for name, info in found.items() if info["pid"]}

    def __enter__(self) -> Ours:
        try:
            self._stack("clean")
            self._stack("up")
        except BaseException:
            self._stack("clean")
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack("clean")

    def scale(self, **counts: int) -> None:
        """Run this many replicas of each of these services. Raises NotMeasured."""
        self._stack("scale", *(f"{service}={count}" for service, count in counts.items()))

    def _stack(self, *words: str) -> None:
        place = {
            "STACK": "local",
            "STACK_RUN_DIR": str(self.settings.run_dir),
            "STACK_PORT_BASE": str(self.settings.port_base),
            "STACK_KAFKA_PORT": str(self.settings.kafka_port),
            "STACK_CACHE_DIR": str(self.settings.cache_dir),
            "PYTHONPATH": python_path(self._tree),
        }
        done = subprocess.run(
            [str(self._python), "-m", "tools.stack", *words],
            cwd=self._tree,
            env={**os.environ, **self._env, **place},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            start_new_session=True,  # Ctrl-C is for the run, which then ends its stacks in order
        )
        if done.returncode:
            said = (done.stdout + done.stderr).strip() or "nothing"
            raise NotMeasured(f"`tools.stack {words[0]}` of {self._tree} failed; it printed: {said[-1500:]}")


def free_places() -> tuple[int, int]:
    """A port base and a port of Kafka that a stack can have now. Raises StackError."""
    for base in random.sample(range(20_000, 31_800, 100), 100):
        kafka = base + 95
        if all(is_free(port) for port in (*(base + offset for offset in OFFSETS), kafka, kafka + 1)):
            return base, kafka
    raise StackError("No hundred free ports between 20000 and 31900: end what uses them.")
