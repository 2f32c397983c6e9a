"""The stack as containers: a thin layer over ``docker compose``. Standard library only."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tools.registry import STARTED, Service
from tools.stack.access_files import OVERRIDE, in_containers
from tools.stack.plan import defaults
from tools.stack.ports import require_free
from tools.stack.private import write_private
from tools.stack.ready import is_ready, stock_demo_product, summary, wait_ready
from tools.stack.settings import (
    ROOT,
    SERVICES,
    Record,
    StackError,
    StackSettings,
    passed_on,
    to_inbox,
    wants_mail,
)

READY_TIMEOUT = 180
GATEWAY_TIMEOUT = 30.0
BESIDE = ("topics", "simulator", "gateway")
"""What has an image of its own beside the services."""


def compose_env(
    settings: StackSettings, wanted: Iterable[Service] = STARTED, mail: bool = False
) -> dict[str, str]:
    """The variables of docker-compose.yml. ``wanted``: the services that get topics; ``mail``: an inbox too."""
    return {
        # every service is known to every command; how many containers there are of each, --scale says
        "COMPOSE_PROFILES": "examples,mail" if mail else "examples",
        "STACK_TOPICS": " ".join(service.wiring for service in wanted),
        "STACK_PROJECT": settings.project,
        "STACK_KAFKA_PORT": str(settings.kafka_port),
        "STACK_SIMULATOR_PORT": str(settings.simulator_port),
        "STACK_INBOX_PORT": str(settings.inbox_port),
        "STACK_ENV_FILE": str(settings.run_dir / "compose.env"),
        **{f"STACK_{name.upper()}_PORT": str(settings.port(name)) for name in SERVICES},
    }


def env_file(passed: Mapping[str, str]) -> str:
    """The passed-on environment as an env file; single quotes keep ``$`` literal."""
    return "".join(
        f'{name}="{value}"\n' if "'" in value else f"{name}='{value}'\n" for name, value in passed.items()
    )


class ComposeStack:
    """``up``, ``down`` and the other verbs for Docker Compose. Every error is a StackError."""

    def __init__(self, settings: StackSettings) -> None:
        self.settings = settings

    def _run(self, *arguments: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
        override = self.settings.run_dir / OVERRIDE
        files = ["-f", str(ROOT / "docker-compose.yml"), "-f", str(override)] if override.exists() else []
        command = ["docker", "compose", *files, "-p", self.settings.project, *arguments]
        record = Record.load(self.settings.run_dir)
        env = {**os.environ, **compose_env(self.settings, record.wanted(), record.mail)}
        output = subprocess.PIPE if quiet else None
        return subprocess.run(command, cwd=ROOT, env=env, text=True, stdout=output, stderr=output)

    def _must(self, *arguments: str, what: str) -> None:
        """Run quietly; what compose printed is shown only if it failed."""
        done = self._run(*arguments, quiet=True)
        if done.returncode:
            printed = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            raise StackError("\n".join([f"{what}; `docker compose {arguments[0]}` printed:", *printed[-15:]]))

    def containers(self) -> list[dict[str, Any]]:
        """What ``docker compose ps --all`` tells of every container of the project."""
        done = self._run("ps", "--all", "--format", "json", quiet=True)
        if done.returncode:
            return []
        text = done.stdout.strip()
        if text.startswith("["):  # compose before 2.21 gives one array
            return list(json.loads(text))
        return [json.loads(line) for line in text.splitlines()]

    def running(self) -> bool:
        """Whether any long-running container of the project runs."""
        return any(container["State"] == "running" for container in self.containers())

    def up(self) -> None:
        """Build the images, start what does not run, wait until all is ready, stock the demo product."""
        started = time.monotonic()
        run_dir = self.settings.run_dir
        mail, env = wants_mail(os.environ), {**defaults(), **passed_on(os.environ)}
        if mail:
            # only this network sees the way to the inbox
            env = to_inbox("smtp://inbox:1025", {"NOTIFICATION_SMTP_STARTTLS": "off", **env})
        record = replace(Record.load(run_dir), mode="docker", env=env, mail=mail)
        if not self.running():
            self._require_ports(mail)
        record.save(run_dir)
        env, mounts = in_containers(record.env)
        write_private(run_dir / "compose.env", env_file(env))
        if mounts:
            write_private(run_dir / OVERRIDE, mounts)
        else:
            (run_dir / OVERRIDE).unlink(missing_ok=True)
        print("Building the images ...", flush=True)
        self._build(*BESIDE, *(service.name for service in record.wanted()))
        print("Starting the containers ...", flush=True)
        self._start(record.scale, mail)
        if record.scale["inventory"]:
            stock_demo_product(self.settings.url("inventory"))
        show = f"docker compose -p {self.settings.project} exec notification cat"
        notifications = f"`{show} /var/lib/eventbus/notifications.log`"
        seconds = time.monotonic() - started
        print(summary(self.settings, record.scale, seconds, notifications, mail), flush=True)

    def _require_ports(self, mail: bool) -> None:
        gateway = {name: self.settings.port(name) for name in SERVICES}
        wanted = {"kafka": self.settings.kafka_port, "simulator": self.settings.simulator_port, **gateway}
        require_free(wanted | ({"inbox": self.settings.inbox_port} if mail else {}), self.settings)

    def scale(self, wanted: Mapping[str, int]) -> None:
        """Run this many containers of each named service, and wait until they are healthy."""
        if not self.running():
            raise StackError("The stack is not running: start it with `make up`, then scale it.")
        record = Record.load(self.settings.run_dir)
        record = replace(record, scale={**record.scale, **wanted})
        record.save(self.settings.run_dir)
        # `up` has built the others. What it has not, has topics of its own, and perhaps a port of its own.
        if late := [name for name, count in wanted.items() if count and not self.replicas(name)]:
            self._build("topics", "gateway", *late)
        self._start(record.scale, record.mail)
        self.ps()

    def replicas(self, service: str) -> int:
        """How many containers of a service run."""
        return len(self._containers_of(service))

    def _containers_of(self, service: str) -> list[str]:
        return sorted(
            c["Name"] for c in self.containers() if (c["Service"], c["State"]) == (service, "running")
        )

    def url(self, service: str, replica: int) -> str:
        """Where the gateway answers for all replicas of a service."""
        return self.settings.url(service)

    def restart(self, service: str) -> None:
        """Build its image, then replace its containers, one after the other: the next once the new one is healthy."""
        old = self._containers_of(service)
        if not old:
            raise StackError(f"No replica of {service} runs: start one with `make scale {service}=1`.")
        self._build("topics", service)
        self._must("run", "--rm", "topics", what="The topics could not be created")
        new = ("up", "--detach", "--no-deps", "--no-recreate", "--scale", f"{service}={len(old)}", service)
        for name in old:
            for end in (["stop", "--time", "30"], ["rm"]):
                subprocess.run(["docker", *end, name], stdout=subprocess.DEVNULL)
            self._must(*new, what=f"{service} did not start")
            self._await([service])
            print(f"{name} is replaced, and healthy.", flush=True)

    def _build(self, *names: str) -> None:
        self._must("build", "--quiet", *names, what="The images could not be built")

    def _start(self, scale: Mapping[str, int], mail: bool) -> None:
        counts = [word for name in SERVICES for word in ("--scale", f"{name}={scale[name]}")]
        if not mail and self.replicas("inbox"):
            self._must("--profile", "mail", "rm", "--stop", "--force", "inbox", what="The inbox did not end")
        self._must("up", "--detach", "--remove-orphans", *counts, what="The containers did not start")
        self._await([name for name in SERVICES if scale[name]])

    def _await(self, services: Iterable[str]) -> None:
        """Return once all containers are healthy, and the gateway knows these services as ready."""
        try:
            wait_ready({"containers": self._all_healthy}, READY_TIMEOUT, lambda _: "")
            gateway = {name: self._probe(name) for name in services}
            wait_ready(gateway, GATEWAY_TIMEOUT, lambda _: "")
        except StackError as error:
            unready = self._not_healthy()
            self._run("logs", "--tail", "15", *sorted({c["Service"] for c in unready}))
            names = ", ".join(c["Name"] for c in unready)
            raise StackError(
                f"{error} {names or 'The gateway'}: see the last lines of the log above."
            ) from error

    def _probe(self, name: str) -> Any:
        return lambda: is_ready(self.settings.url(name))

    def _not_healthy(self) -> list[dict[str, Any]]:
        def is_well(container: Mapping[str, Any]) -> bool:
            if container["Service"] == "topics":
                return bool(container["State"] == "exited" and container["ExitCode"] == 0)
            return bool(container["State"] == "running" and container["Health"] in ("healthy", ""))

        return [container for container in self.containers() if not is_well(container)]

    def _all_healthy(self) -> bool:
        return not self._not_healthy()

    def down(self) -> None:
        """End all containers in order. Data stays in the volumes."""
        self._must("down", "--remove-orphans", "--timeout", "30", what="The stack did not end")
        print("The stack is down; its data stays (`make clean` forgets it).")

    def ps(self) -> None:
        """The table of ``docker compose ps``."""
        if self._run("ps", "--all").returncode:
            raise StackError("The containers could not be listed: `docker compose` printed above why.")

    def logs(self, service: str | None, follow: bool) -> None:
        """The end of the containers' logs, going on as they grow if ``follow``."""
        chosen = [service] if service else []
        if self._run("logs", "--tail", "50", *(["--follow"] if follow else []), *chosen).returncode not in (
            0,
            130,
        ):
            raise StackError(f"There are no logs of {service or 'the stack'}.")

    def follow(self, service: str, replica: int) -> None:
        """Print the logs of a service as they grow, of all its replicas, until interrupted."""
        self._run("logs", "--tail", "50", "--follow", service)

    def clean(self) -> None:
        """End everything and remove the volumes; images stay."""
        self._must("down", "--volumes", "--remove-orphans", "--timeout", "10", what="The stack did not end")
        print("Forgot all data of the Docker stack.")
