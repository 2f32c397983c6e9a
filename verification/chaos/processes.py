"""Child processes kept alive: what ends is started again, as any supervisor does."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.stack.settings import ROOT
from verification.trees import python_path

LOOK_EVERY = 0.2
PAUSE = 0.3
"""Seconds between an end and the next start."""
GRACE = 20.0
"""Seconds a process may take to end in order."""


class Child:
    """A command that is to run, with its environment and its log. ``tree`` has the code for its next start."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self.name, self.log = name, log
        self.env = dict(env)
        self._command = list(command)
        self._process: subprocess.Popen[bytes] | None = None
        self.ended_at = 0.0
        self.wanted = False
        self.frozen = False
        self.tree = ROOT
        self.running: Path | None = None
        """The code that it runs, or ran last."""
        self.moves = False
        """Whether it was told to end, so as to go on with other code."""

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self.alive else None

    @property
    def returncode(self) -> int | None:
        return self._process.poll() if self._process else None

    def spawn(self) -> None:
        """Start the process; it must not run."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env={**os.environ, **self.env, "PYTHONPATH": python_path(self.tree)},
                cwd=self.tree,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        self.frozen, self.moves, self.running = False, False, self.tree

    def signal(self, number: signal.Signals) -> None:
        """Signal the process, if it is there."""
        if self._process is not None and self.alive:
            self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, as a crash; returns once the process is gone."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def freeze(self) -> None:
        """SIGSTOP: it stands still, its connections stay open."""
        self.frozen = True
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.frozen = False
        self.signal(signal.SIGCONT)

    def end(self, timeout: float = GRACE) -> None:
        """SIGTERM, and SIGKILL when ``timeout`` (s) is over; for good."""
        self.wanted = False
        if self._process is None:
            return
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def tail(self, lines: int = 15) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Children:
    """All child processes of a run, looked after by a thread. ``ends`` counts exits nobody asked for, by status."""

    def __init__(self, log_dir: Path) -> None:
        self._log_dir = log_dir
        self.by_name: dict[str, Child] = {}
        self.ends: Counter[tuple[str, int]] = Counter()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def add(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> Child:
        """A process to keep alive, started at once."""
        self._log_dir.mkdir(parents=True, exist_ok=True)
        child = Child(name, command, env, self._log_dir / f"{name}.log")
        self.by_name[name] = child
        self.start(name)
        if not self._thread.is_alive():
            self._thread.start()
        return child

    def start(self, name: str) -> None:
        """Have it run again after :meth:`stop`."""
        with self._lock:
            child = self.by_name[name]
            child.wanted = True
            if not child.alive:
                child.spawn()

    def stop(self, name: str, *, at_once: bool = False) -> None:
        """End a process and leave it so: in order, or by SIGKILL."""
        with self._lock:
            child = self.by_name[name]
            child.wanted = False
        child.kill() if at_once else child.end()

    def move(self, name: str, tree: Path) -> None:
        """Have it end in order and go on with the code in ``tree``; does not wait."""
        with self._lock:
            child = self.by_name[name]
            child.tree, child.moves = tree, child.alive
            child.signal(signal.SIGTERM)

    def _watch(self) -> None:
        while not self._closing.wait(LOOK_EVERY):
            with self._lock:
                for child in self.by_name.values():
                    if child.wanted and not child.alive:
                        self._revive(child)

    def _revive(self, child: Child) -> None:
        now = time.monotonic()
        if not child.ended_at:
            if not child.moves:
                self.ends[child.name, child.returncode or 0] += 1
            child.ended_at = now
        elif now - child.ended_at > PAUSE:
            child.ended_at = 0.0
            child.spawn()

    def close(self) -> None:
        """End them all: in order, after a grace by force."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        for child in self.by_name.values():
            child.wanted = False
            child.signal(signal.SIGTERM)
            child.signal(signal.SIGCONT)
        deadline = time.monotonic() + GRACE
        for child in self.by_name.values():
            child.end(max(0.1, deadline - time.monotonic()))
