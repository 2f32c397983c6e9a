"""Somebody at the command line: ``eventbus dlq ...`` against the system of a test."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.processes import ROOT, ServiceProcess, python
from tests.support.system import System


@dataclass
class Output:
    """What a command printed, and how it ended."""

    out: str
    err: str
    code: int

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Operator:
    """Runs commands as processes of their own, of the code in ``tree``. ``replicas`` are asked for dry runs."""

    def __init__(self, system: System, replicas: Mapping[str, ServiceProcess], tree: Path = ROOT) -> None:
        self.tree = tree
        self.env = {
            **os.environ,
            "PYTHONPATH": f"{tree}{os.pathsep}{tree / 'libs' / 'eventbus'}",
            "EVENTBUS_BOOTSTRAP_SERVERS": system.settings.bootstrap_servers,
            "EVENTBUS_SCHEMAS": "schemas",
            "EVENTBUS_TOPIC_PREFIX": system.settings.topic_prefix,
        }
        self.ask(replicas)

    def ask(self, replicas: Mapping[str, ServiceProcess]) -> None:
        """From now on these replicas answer dry runs."""
        self.env["EVENTBUS_URLS"] = " ".join(f"{s}=http://127.0.0.1:{p.port}" for s, p in replicas.items())

    def dlq(self, *words: str, answer: str = "", code: int = 0) -> Output:
        """Run ``eventbus dlq``, as :meth:`run`."""
        return self.run("dlq", *words, answer=answer, code=code)

    def run(self, *words: str, answer: str = "", code: int = 0) -> Output:
        """Run a command, which is to end with this code; ``answer`` is typed in."""
        done = subprocess.run(
            python("eventbus", *words),
            env=self.env,
            cwd=self.tree,
            input=answer,
            capture_output=True,
            text=True,
            timeout=90,
        )
        output = Output(done.stdout, done.stderr, done.returncode)
        assert output.code == code, output
        assert "Traceback" not in output.err, output.err
        return output

    def list(self, *words: str) -> list[dict[str, Any]]:
        """The rows of a list."""
        rows: list[dict[str, Any]] = self.dlq("list", *words, "--json").json
        return rows
