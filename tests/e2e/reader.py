"""Somebody who pastes the command lines of a document into a shell."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path

import httpx

from tests.e2e.running import Stack
from tests.e2e.waiting import until
from tests.support.readme import Command, with_ports
from tools import registry

TIMEOUT = 600.0


class Reader:
    """Works in ``root``, the repository or a copy. Of the lines in ``recipes_only``, only the recipe is read."""

    def __init__(
        self,
        system: Stack,
        root: Path,
        *,
        recipes_only: Collection[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        base = system.settings.port_base
        local = {8000 + used: base + used for used in (*range(10), 90)}
        self.ports = {**local, 9092: system.settings.kafka_port}
        self.root, self.env = root, {**system.shell_env(), **(env or {})}
        self._recipes_only = recipes_only
        self._staying: list[subprocess.Popen[str]] = []

    def run(self, command: Command) -> str:
        """Run a line to its end; what it printed. Fails the test if it fails, or prints not what is promised."""
        text = with_ports(command.text, self.ports)
        if text in self._recipes_only:
            text = text.replace("make", "make --dry-run", 1)
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", text],
            cwd=self.root,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        assert done.returncode == 0, f"{text}\nended with {done.returncode}: {done.stdout}{done.stderr}"
        for promise in command.promises:
            assert promise in done.stdout, f"{text}\nprinted {done.stdout}"
        return done.stdout

    def leave_running(self, command: Command) -> None:
        """Start a line that stays, as in a terminal of its own; returns when the service that it names is ready."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command.text}"],
            cwd=self.root,
            env=self.env,
            text=True,
            start_new_session=True,
        )
        self._staying.append(process)
        named = re.search(r"SERVICE=(\w+)", command.text)
        assert named, f"{command.text} names no service"
        services = {service.name: service.port for service in registry.load(self.root / "services.toml")}
        url = f"http://127.0.0.1:{self.ports[services[named[1]]]}/readyz"
        until(lambda: httpx.get(url, trust_env=False).status_code == 200, 60.0, f"{command.text} is ready")

    def leave(self) -> None:
        """Ctrl-C in every terminal left open."""
        while self._staying:
            process = self._staying.pop()
            os.killpg(process.pid, signal.SIGINT)
            process.wait(60.0)
