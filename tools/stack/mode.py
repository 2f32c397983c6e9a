"""Docker Compose or local processes: which way this machine can and should run the stack."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from tools.stack.settings import StackError

ENGINE_TIMEOUT = 5.0
WORDS = {"local": "local processes", "docker": "Docker Compose"}


@dataclass(frozen=True)
class Choice:
    """``local`` or ``docker``, and the reason to give to people."""

    mode: str
    reason: str

    @property
    def sentence(self) -> str:
        return f"Running as {WORDS[self.mode]}: {self.reason}."


def choose(forced: str, running: str, engine_missing: Callable[[], str]) -> Choice:
    """The way to run.

    ``forced`` is the value of STACK, ``running`` the way a stack of this run directory runs now (both may be
    empty), ``engine_missing()`` says why Docker cannot be used, or nothing if it can. Raises StackError.
    """
    if forced not in ("", "local", "docker"):
        raise StackError(f"STACK={forced} is unknown: say STACK=local or STACK=docker, or leave it out.")
    if running and forced and forced != running:
        raise StackError(
            f"STACK={forced} was asked for, but the stack runs as {WORDS[running]} now: `make down` first."
        )
    if running:
        return Choice(running, "it already does")
    if forced == "local":
        return Choice("local", "STACK=local asks for it")
    missing = engine_missing()
    if forced == "docker":
        if missing:
            raise StackError(
                f"STACK=docker was asked for, but {missing}: start Docker, or run with STACK=local."
            )
        return Choice("docker", "STACK=docker asks for it")
    if missing:
        return Choice("local", f"{missing} (with an engine it would be Docker Compose)")
    return Choice("docker", "a Docker engine answers (STACK=local would use local processes)")


def engine_missing() -> str:
    """Why Docker Compose cannot be used on this machine; empty if it can."""
    if reason := _fails(["docker", "info", "--format", "{{.ServerVersion}}"], "no Docker engine answers"):
        return reason
    return _fails(["docker", "compose", "version"], "`docker compose` does not work")


def _fails(command: list[str], reason: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ENGINE_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired):
        return reason
    # `docker info` ends with 0 even when only the client answered
    return "" if done.returncode == 0 and done.stdout.strip() else reason
