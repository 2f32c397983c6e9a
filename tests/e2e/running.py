"""A whole system of its own to test: started, stopped, hurt and forgotten through its own commands."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.e2e.waiting import until
from tools.registry import STARTED
from tools.stack.ports import is_free
from tools.stack.settings import PASSED_ON, ROOT, StackSettings
from tools.stack.supervisor import Supervisor, log_end

__all__ = ["ROOT", "SERVICES", "Stack", "free_port_base"]

SERVICES = tuple(service.name for service in STARTED)
USED = [*range(6), *range(10, 16), *range(20, 24), 90, *range(94, 98), *range(100, 106)]
KAFKA, UP_TIMEOUT = 94, 600.0


def free_port_base() -> int:
    """A port below the range of passing connections, from which on all that a stack needs is free."""
    for base in random.sample(range(20_000, 32_000, 100), 120):
        if all(is_free(base + used) for used in USED):
            return base
    raise RuntimeError("no hundred free ports between 20000 and 32000")


class Stack:
    """One system. ``env`` is what ``python -m tools.stack`` and everything else needs to find it."""

    def __init__(self, mode: str, run_dir: Path, project: str = "") -> None:
        base = free_port_base()
        self.mode, self.run_dir = mode, run_dir
        self.env = {
            "STACK": mode,
            "STACK_RUN_DIR": str(run_dir),
            "STACK_PORT_BASE": str(base),
            "STACK_KAFKA_PORT": str(base + KAFKA),
            **({"STACK_PROJECT": project} if project else {}),
        }
        self.settings = StackSettings.from_env(self.env)
        self.up_printed = ""

    @property
    def bootstrap_servers(self) -> str:
        return self.settings.bootstrap_servers

    def url(self, service: str, replica: int = 0) -> str:
        """Where a service, or ``simulator``, answers."""
        if service == "simulator":
            return f"http://127.0.0.1:{self.settings.simulator_port}"
        return self.settings.url(service, replica)

    def shell_env(self) -> dict[str, str]:
        """The environment for a command that is to find this stack and no other."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("STACK", *PASSED_ON))}
        return {**clean, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'libs' / 'eventbus'}", **self.env}

    def verb(self, *words: str, timeout: float = UP_TIMEOUT) -> str:
        """Run ``python -m tools.stack ...``; what it printed. Fails the test if it fails."""
        command = [sys.executable, "-m", "tools.stack", *words]
        done = subprocess.run(
            command, cwd=ROOT, env=self.shell_env(), capture_output=True, text=True, timeout=timeout
        )
        assert done.returncode == 0, (
            f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
        return done.stdout

    def up(self) -> str:
        """``make up``; remembers and returns what it printed."""
        self.up_printed = self.verb("up")
        return self.up_printed

    def is_ready(self, service: str, replica: int = 0) -> bool:
        """Whether a replica says that it may be sent traffic."""
        try:
            answer = httpx.get(f"{self.url(service, replica)}/readyz", timeout=2.0, trust_env=False)
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    def await_ready(self, *services: str, timeout: float = 60.0) -> None:
        """Return once all named services (by default all that are started) are ready."""
        for service in services or SERVICES:
            until(lambda name=service: self.is_ready(name), timeout, f"{service} is ready")  # type: ignore[misc]


class LocalStack(Stack):
    """Local processes, which can be stopped, frozen and killed one by one."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__("local", run_dir)
        self._supervisor = Supervisor(run_dir)

    def pids(self) -> dict[str, int]:
        """Process id of everything that runs, by name."""
        return {name: int(info["pid"]) for name, info in self._supervisor.processes().items() if info["pid"]}

    def kill(self, name: str) -> int:
        """``kill -9``; returns the id of the process that was."""
        pid = self.pids()[name]
        os.kill(pid, signal.SIGKILL)
        return pid

    def await_restart(self, name: str, before: int, timeout: float = 60.0) -> None:
        """Return once another process than ``before`` runs under this name, and is ready if it is a service."""
        until(lambda: self.pids().get(name, before) != before, timeout, f"{name} runs again")
        if name in SERVICES:
            self.await_ready(name, timeout=timeout)

    def stop(self, name: str) -> None:
        """End one process until it is started again."""
        self._supervisor.stop(name)

    def start(self, name: str) -> None:
        """Start one process that was stopped; returns when it is ready."""
        self._supervisor.start(name)
        if name in SERVICES:
            self.await_ready(name)

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Inside, this process does not run."""
        self.stop(name)
        try:
            yield
        finally:
            self.start(name)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Inside, this process exists and does nothing: no answer, no heartbeat."""
        pid = self.pids()[name]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextmanager
    def throttled(self, name: str, share: float = 0.1, period: float = 0.1) -> Iterator[None]:
        """Inside, this process runs only for ``share`` of every ``period`` (s)."""
        pid, over = self.pids()[name], threading.Event()

        def hold_back() -> None:
            while not over.is_set():
                os.kill(pid, signal.SIGSTOP)
                over.wait(period * (1 - share))
                os.kill(pid, signal.SIGCONT)
                over.wait(period * share)

        brake = threading.Thread(target=hold_back, daemon=True)
        brake.start()
        try:
            yield
        finally:
            over.set()
            brake.join()

    def log_end(self, name: str) -> str:
        """The last lines that a process logged."""
        return log_end(self.run_dir, name, 40)
