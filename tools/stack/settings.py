"""Where a stack lives and which ports it uses. Standard library only, so that any Python 3.11 can run it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tools.registry import BY_NAME, Service
from tools.registry import ROOT as ROOT
from tools.stack.private import write_private

SERVICES = tuple(BY_NAME)
MAX_REPLICAS = 9
PASSED_ON = ("EVENTBUS_", *(f"{service.upper()}_" for service in SERVICES), "SCHEMA_REGISTRY_", "SIMULATOR_")
"""Prefixes of the environment variables that ``up`` hands to the services."""
API_KEY = "EVENTBUS_API_KEY"
"""The variable with the key that tools send to the services. No service needs it."""
FILES = ("EVENTBUS_API_KEYS_FILE", "EVENTBUS_OIDC_JWKS")
"""Variables that may name a file."""


class StackError(Exception):
    """What went wrong and what to do about it, in a sentence for a person."""


def access_is_on(env: Mapping[str, str]) -> bool:
    """Whether services with this environment ask their callers for keys or tokens."""
    return bool(env.get("EVENTBUS_API_KEYS_FILE") or env.get("EVENTBUS_OIDC_ISSUER"))


def credentials() -> dict[str, str]:
    """The header with the key that the environment names; empty without one."""
    key = os.environ.get(API_KEY)
    return {"Authorization": f"Bearer {key}"} if key else {}


@dataclass(frozen=True)
class StackSettings:
    """One stack. Several can run side by side if their run directory and ports differ.

    ``port_base`` is the order service's port; the others follow as in ``services.toml`` (+1 payment, +2 inventory, …;
    +90 payment simulator, +91 `make registry`, +96 and +97 the inbox; replica *k* of a service listens on its port
    + 10·k, the gateway for all its replicas on its port + 100).
    """

    run_dir: Path = ROOT / ".run"
    port_base: int = 8000
    kafka_port: int = 9092
    project: str = ""
    cache_dir: Path = ROOT / ".run" / "cache"

    @classmethod
    def from_env(
        cls,
        env: Mapping[str, str],
        run_dir: str | None = None,
        port_base: int | None = None,
        kafka_port: int | None = None,
    ) -> StackSettings:
        """Settings from ``STACK_*`` variables; given arguments win. Raises StackError on nonsense."""
        base = port_base or _port(env, "STACK_PORT_BASE", 8000)
        return cls(
            run_dir=Path(run_dir or env.get("STACK_RUN_DIR") or ROOT / ".run").resolve(),
            port_base=base,
            kafka_port=kafka_port or _port(env, "STACK_KAFKA_PORT", 9092),
            project=env.get("STACK_PROJECT") or ("orders" if base == 8000 else f"orders-{base}"),
            cache_dir=Path(env.get("STACK_CACHE_DIR") or ROOT / ".run" / "cache").resolve(),
        )

    def port(self, service: str, replica: int = 0) -> int:
        """The HTTP port of one replica of a service."""
        return self.port_base + BY_NAME[service].offset + 10 * replica

    def gateway_port(self, service: str) -> int:
        """The port at which the gateway of a local stack answers for all replicas of a service."""
        return self.port(service) + 100

    def gateway_url(self, service: str) -> str:
        """Where the gateway of a local stack answers for a service, without a trailing slash."""
        return f"http://127.0.0.1:{self.gateway_port(service)}"

    @property
    def simulator_port(self) -> int:
        return self.port_base + 90

    @property
    def registry_port(self) -> int:
        """Where `make registry` serves the schema files."""
        return self.port_base + 91

    @property
    def mail_port(self) -> int:
        """Where the inbox takes mails (``make up MAIL=1``)."""
        return self.port_base + 96

    @property
    def inbox_port(self) -> int:
        """Where the inbox shows them."""
        return self.port_base + 97

    @property
    def controller_port(self) -> int:
        return self.kafka_port + 1

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.kafka_port}"

    def url(self, service: str, replica: int = 0) -> str:
        """Where one replica of a service answers, without a trailing slash."""
        return f"http://127.0.0.1:{self.port(service, replica)}"


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= 65400:
        raise StackError(f"{name}={text} is not a port number: give one between 1 and 65400.")
    return int(text)


def passed_on(env: Mapping[str, str]) -> dict[str, str]:
    """The part of the environment that is the services' configuration, in a stable order."""
    names = [name for name in sorted(env) if name.startswith(PASSED_ON) and name != API_KEY]
    chosen = {name: env[name] for name in names}
    for name in FILES:
        if (value := chosen.get(name)) and "://" not in value:
            chosen[name] = str(Path(value).resolve())  # services run in another directory
    for name, value in chosen.items():
        if "\n" in value or ('"' in value and "'" in value):
            raise StackError(
                f"{name} holds a line break or both kinds of quotes, which cannot be handed on: simplify it."
            )
    return chosen


def wants_mail(env: Mapping[str, str]) -> bool:
    """Whether ``make up MAIL=1`` was said. Raises StackError for another word."""
    word = env.get("MAIL", "")
    if word not in ("", "0", "1"):
        raise StackError(
            f"MAIL={word} means nothing: write `make up MAIL=1` to catch the mails to customers."
        )
    return word == "1"


def to_inbox(url: str, env: Mapping[str, str]) -> dict[str, str]:
    """The environment in which customers get mail, caught by an inbox at ``url``. What is set already stays."""
    return {
        "NOTIFICATION_CHANNELS": "log,smtp",
        "NOTIFICATION_SMTP_URL": url,
        "NOTIFICATION_SMTP_SENDER": "Orders <orders@shop.example>",
        **env,
    }


def _initial_scale() -> dict[str, int]:
    return {name: int(service.start) for name, service in BY_NAME.items()}


@dataclass
class Record:
    """What a stack remembers between commands, in ``<run_dir>/stack.json``."""

    mode: str = ""
    scale: dict[str, int] = field(default_factory=_initial_scale)
    """Replicas of each service of the registry."""
    env: dict[str, str] = field(default_factory=dict)
    mail: bool = False
    """Whether an inbox catches the mails to customers."""

    @classmethod
    def load(cls, run_dir: Path) -> Record:
        """The record of a run directory, or a fresh one."""
        try:
            data = json.loads((run_dir / "stack.json").read_text())
        except FileNotFoundError:
            return cls()
        # Written before the registry was edited, it may lack a service, or name one that is no more.
        scale = {name: data["scale"].get(name, count) for name, count in _initial_scale().items()}
        return cls(mode=data["mode"], scale=scale, env=data["env"], mail=data.get("mail", False))

    def wanted(self) -> list[Service]:
        """The services whose topics are needed: those that ``up`` starts, and those that run."""
        return [service for name, service in BY_NAME.items() if service.start or self.scale[name]]

    def save(self, run_dir: Path) -> None:
        """Replace the record in one step."""
        run_dir.mkdir(parents=True, exist_ok=True)
        draft = run_dir / "stack.json.new"
        write_private(draft, json.dumps(asdict(self), indent=2) + "\n")
        os.replace(draft, run_dir / "stack.json")


def known_service(name: str | None, verb: str) -> str:
    """The service that a command names. Raises StackError if it names none, or one that does not exist."""
    known = ", ".join(SERVICES)
    if not name:
        raise StackError(
            f"Which service? Write for example `make {verb} SERVICE=payment`. The services are {known}."
        )
    if name not in SERVICES:
        raise StackError(f"There is no service {name}. The services are {known}.")
    return name


def parse_scale(words: list[str]) -> dict[str, int]:
    """``["payment=3"]`` to ``{"payment": 3}``. Raises StackError for unknown services and counts."""
    known = ", ".join(SERVICES)
    pairs = [(service, count) for service, _, count in (word.partition("=") for word in words)]
    unknown = [service for service, _ in pairs if service not in SERVICES]
    if unknown:
        raise StackError(
            f"Cannot scale {', '.join(unknown)}: there is no such service. The services are {known}."
        )
    scale: dict[str, int] = {}
    for service, count in pairs:
        if not count.isdecimal() or int(count) > MAX_REPLICAS:
            raise StackError(f"Cannot scale '{service}={count}': write {service}=<0 to {MAX_REPLICAS}>.")
        scale[service] = int(count)
    if not scale:
        raise StackError(
            f"Nothing to scale: write for example `make scale payment=3`. The services are {known}."
        )
    return scale
