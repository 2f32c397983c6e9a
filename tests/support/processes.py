"""Services as the child processes they really are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
STARTUP = 40.0


class ServiceProcess:
    """One replica: a command, its environment, its port and its log. It may be started again after it ended."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        port: int,
        log: Path,
        *,
        cwd: Path = ROOT,
        inherited: Mapping[str, str] | None = None,
    ) -> None:
        """``env`` is added to ``inherited``, by default the environment of this process."""
        self.name, self.port, self.log = name, port, log
        self._command, self._env, self._cwd = list(command), dict(env), cwd
        self._inherited = os.environ if inherited is None else inherited
        self._process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10.0)

    def start(self, **env: str) -> ServiceProcess:
        """Start the process; ``env`` is added to its environment, for good. Does not wait."""
        assert not self.alive, f"{self.name} runs already"
        self._env.update(env)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env={**self._inherited, **self._env},
                cwd=self._cwd,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    def wait_ready(self, timeout: float = STARTUP) -> ServiceProcess:
        """Return once ``/readyz`` says so."""
        eventually(self.is_ready, f"{self.name} is ready", timeout)
        return self

    def is_ready(self) -> bool:
        assert self.alive, f"{self.name} ended with {self.returncode}: {self.tail()}"
        try:
            return self.http.get("/readyz", timeout=2.0).status_code == 200
        except httpx.TransportError:
            return False

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.poll() if self._process else None

    def tail(self, lines: int = 15) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def wait_end(self, timeout: float = 60.0) -> int:
        """Return the exit status of a process that ends by itself."""
        assert self._process is not None
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{self.name} still runs: {self.tail()}") from error

    def stop(self, timeout: float = 60.0) -> float:
        """SIGTERM; returns after how many seconds the process ended, with status 0."""
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        status = self.wait_end(timeout)
        assert status == 0, f"{self.name} ended with {status}: {self.tail()}"
        return time.monotonic() - began

    def kill(self) -> None:
        """SIGKILL, as a crash; returns once the process is gone."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait()

    def pause(self) -> None:
        """SIGSTOP: a process that stands still."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.alive:
            self._process.send_signal(number)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels; 0 if there is none."""
        total = 0.0
        for line in self.http.get("/metrics").text.splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.split("{")[0] == name and all(f'{k}="{v}"' in sample for k, v in labels.items()):
                total += float(value)
        return total

    def leads(self) -> int:
        """How many tasks this replica leads."""
        return int(self.metric("eventbus_tasks_led"))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.http.get(path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.http.post(path, **options)


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module with the interpreter of the tests."""
    return [sys.executable, "-m", module, *arguments]


def run_python(arguments: Sequence[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run ``python ...`` in the repository to its end; no stack but one that ``env`` names is known to it."""
    path = [str(ROOT), str(ROOT / "libs" / "eventbus"), env.get("PYTHONPATH", "")]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("STACK", "ORDER_"))}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**clean, **env, "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
