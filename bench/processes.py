"""Child processes of a run: each is ended with the run, whatever ends it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from types import TracebackType

from tools.stack.ready import request
from tools.stack.settings import ROOT

GRACE = 10.0
"""Seconds a process may take to end in order."""
LOOK = 0.02
"""Seconds between two looks at a process."""


class NotMeasured(Exception):
    """A measurement could not be made; the message says what went wrong and where to look."""


class Module:
    """``python -m module arguments`` as a child process, while the ``with`` lasts. What it prints goes to ``log``."""

    def __init__(
        self,
        log: Path,
        module: str,
        arguments: Sequence[str] = (),
        *,
        env: Mapping[str, str] | None = None,
        python: Path = Path(sys.executable),
    ) -> None:
        """``env`` is added to this process's environment; ``python`` is the interpreter that runs the module."""
        self._log, self._env = log, env or {}
        self._command = [str(python), "-m", module, *arguments]

    def __enter__(self) -> Module:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        path = f"{ROOT}{os.pathsep}{ROOT / 'libs' / 'eventbus'}"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": path, **self._env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def check(self) -> None:
        """Raises NotMeasured with the end of its log if the process has ended."""
        if self._process.poll() is not None:
            last = self._log.read_text(errors="replace").strip().splitlines()[-1:]
            raise NotMeasured(f"{self._command[2]} ended ({self._log}): {' '.join(last)}")

    def wait_ready(self, url: str, patience: float) -> None:
        """Return once it answers there with 200. Raises NotMeasured if it ends first, or takes longer (s)."""
        deadline = time.monotonic() + patience
        while request(url, timeout=2.0)[0] != HTTPStatus.OK:
            self.check()
            if time.monotonic() > deadline:
                raise NotMeasured(f"{self._command[2]} does not answer at {url} after {patience:.0f} s.")
            time.sleep(LOOK)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
