"""A rolling upgrade as a fault: every replica goes on with the code of the next release, in its two steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tools.stack.ready import is_ready
from verification.chaos.cluster import ChaosCluster
from verification.trees import Release

PATIENCE = 15.0
"""Seconds until a replica that does not end, or is not ready with its new code, is waited for no longer."""
LOOK_EVERY = 0.2


@dataclass
class UpgradeResult:
    """Which replicas went on with which step, and when it began and ended (``time.monotonic``, s)."""

    moved: dict[str, list[str]] = field(default_factory=dict)
    began: float = 0.0
    ended: float = 0.0
    failure: str = ""

    @property
    def whole(self) -> bool:
        """Whether every replica took both steps."""
        held, released = (sorted(self.moved.get(step, [])) for step in Release._fields)
        return bool(held) and held == released and not self.failure


class RollingUpgrade:
    """Of each service one replica at a time: first all go on with the held code, then all with the released code.

    It runs on a thread of its own, so that other faults come meanwhile.
    """

    def __init__(self, chaos: ChaosCluster, release: Release, say: Callable[[str], None]) -> None:
        self._chaos, self._release, self._say = chaos, release, say
        self._thread = threading.Thread(target=self._run, name="upgrade", daemon=True)
        self.result = UpgradeResult()

    def begin(self) -> None:
        """Start it."""
        self.result.began = time.monotonic()
        self._thread.start()

    def end(self, timeout: float) -> UpgradeResult:
        """Wait until it is over, ``timeout`` (s) at most; returns what became of it."""
        if self.result.began:
            self._thread.join(timeout)
            if self._thread.is_alive():
                self.result.failure = f"it was not over after {timeout:.0f} s more"
        return self.result

    def _run(self) -> None:
        try:
            for step, tree in zip(Release._fields, self._release, strict=True):
                for names in self._waves():
                    self._say(f"{'':9}upgrade: {', '.join(names)} go on with the {step} code")
                    self._move(names, tree)
                    self.result.moved.setdefault(step, []).extend(names)
        except Exception as error:
            self.result.failure = f"{type(error).__name__}: {error}"
        self.result.ended = time.monotonic()

    def _waves(self) -> Iterator[list[str]]:
        """The replicas to move together: the first of each service, then the second, and so on."""
        replicas = self._chaos.replicas.values()
        for number in range(max(map(len, replicas))):
            yield [names[number] for names in replicas if number < len(names)]

    def _move(self, names: list[str], tree: Path) -> None:
        """Move these replicas; returns once all are ready with the new code, or :data:`PATIENCE` is over."""
        for name in names:
            self._chaos.children.move(name, tree)
        deadline = time.monotonic() + PATIENCE
        while not all(self._is_there(name, tree) for name in names) and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY)
        for name in names:
            child = self._chaos.child(name)
            if child.running != tree:  # it stands still, or cannot end: its new code begins after a crash
                child.kill()

    def _is_there(self, name: str, tree: Path) -> bool:
        return self._chaos.child(name).running == tree and is_ready(self._chaos.url(name))
