"""The stack as local processes: Kafka, the payment simulator and the services under supervisord."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tools.stack import gateway
from tools.stack.kafka import cluster_id, last_line, prepare_broker, wait_for_broker
from tools.stack.orphans import end_orphans
from tools.stack.plan import defaults, ports, program_name, programs, service_env
from tools.stack.ports import require_free
from tools.stack.private import write_private
from tools.stack.ready import is_ready, request, stock_demo_product, summary, wait_ready
from tools.stack.settings import (
    MAX_REPLICAS,
    ROOT,
    SERVICES,
    Record,
    StackError,
    StackSettings,
    passed_on,
    to_inbox,
    wants_mail,
)
from tools.stack.supervisor import Crashes, Program, Supervisor, log_end

READY_TIMEOUT = 90.0
ALIVE = ("STARTING", "RUNNING", "BACKOFF", "STOPPING")


class LocalStack:
    """``up``, ``down`` and the other verbs for local processes. Every error is a StackError."""

    def __init__(self, settings: StackSettings) -> None:
        self.settings = settings
        self.supervisor = Supervisor(settings.run_dir)
        self.haproxy = gateway.find()

    def running(self) -> bool:
        """Whether a supervisord of this run directory answers."""
        return self.supervisor.pid() is not None

    def up(self) -> None:
        """Start what does not run, wait until all is ready, stock the demo product, say where things are."""
        started = time.monotonic()
        mail, env = wants_mail(os.environ), {**defaults(), **passed_on(os.environ)}
        if mail:
            env = to_inbox(f"smtp://127.0.0.1:{self.settings.mail_port}", env)
        record = replace(Record.load(self.settings.run_dir), mode="local", env=env, mail=mail)
        self._apply(record)
        if record.scale["inventory"]:
            stock_demo_product(self.settings.url("inventory"))
        notifications = str(self.settings.run_dir / "notifications.log")
        took, anyone = time.monotonic() - started, self._gateway_addresses(record)
        print(summary(self.settings, record.scale, took, notifications, mail, anyone), flush=True)

    def _gateway_addresses(self, record: Record) -> str:
        """Where all replicas of a service answer under one address, in words."""
        if not self.haproxy:
            return gateway.MISSING
        ports = {name: self.settings.gateway_port(name) for name in SERVICES if record.scale[name]}
        return f"127.0.0.1, any replica: {', '.join(f'{port} {name}' for name, port in ports.items())}"

    def scale(self, wanted: Mapping[str, int]) -> None:
        """Run this many replicas of each named service, and wait until they are ready."""
        if not self.running():
            raise StackError("The stack is not running: start it with `make up`, then scale it.")
        record = Record.load(self.settings.run_dir)
        self._apply(replace(record, scale={**record.scale, **wanted}))
        self.ps()

    def replicas(self, service: str) -> int:
        """How many replicas of a service run."""
        return len(self._numbers(service))

    def _numbers(self, service: str) -> list[int]:
        alive = self._alive()
        return [replica for replica in range(MAX_REPLICAS) if program_name(service, replica) in alive]

    def url(self, service: str, replica: int) -> str:
        """Where a replica answers."""
        return self.settings.url(service, replica)

    def restart(self, service: str) -> None:
        """End its replicas and start them again, one after the other: the next one once the one before is ready."""
        running = self._numbers(service)
        if not running:
            raise StackError(f"No replica of {service} runs: start one with `make scale {service}=1`.")
        self._create_topics(Record.load(self.settings.run_dir))
        for replica in running:
            name, url = program_name(service, replica), self.url(service, replica)
            self.supervisor.stop(name)
            self.supervisor.start(name)
            self._await({name: lambda url=url: is_ready(url)}, Crashes(self.supervisor))  # type: ignore[misc]
            print(f"{name} is ready again, at {url}.", flush=True)

    def _apply(self, record: Record) -> None:
        run_dir = self.settings.run_dir
        running = self.running()
        alive = self._alive() if running else set()
        if not running:
            end_orphans(run_dir)
        new = {
            n: p
            for n, p in ports(self.settings, record.scale, record.mail, bool(self.haproxy)).items()
            if n.removesuffix("-controller").removesuffix("-smtp") not in alive
            and not (n.startswith(f"{gateway.NAME}-") and gateway.NAME in alive)
        }
        require_free(new, self.settings)
        for folder in ("state", "simulator", "logs"):
            (run_dir / folder).mkdir(parents=True, exist_ok=True)
        broker = prepare_broker(
            run_dir / "kafka",
            self.settings.kafka_port,
            self.settings.controller_port,
            cache_dir=self.settings.cache_dir,
        )
        wanted = programs(self.settings, record, broker, self.haproxy)
        write_private(gateway.config_file(run_dir), gateway.config(self.settings, record.scale))
        self.supervisor.write(wanted)
        if running:
            self.supervisor.update()
            if gateway.NAME in alive:
                self.supervisor.signal(gateway.NAME, "USR2")
        else:
            self.supervisor.launch()
        record.save(run_dir)
        self._start(wanted, record)

    def _alive(self) -> set[str]:
        return {n for n, info in self.supervisor.processes().items() if info["statename"] in ALIVE}

    def _start(self, wanted: list[Program], record: Record) -> None:
        crashes = Crashes(self.supervisor)
        self.supervisor.start("kafka")
        wait_for_broker(
            self.settings.bootstrap_servers,
            cluster_id(self.settings.run_dir / "kafka"),
            READY_TIMEOUT,
            lambda: crashes.of({"kafka"}),
        )
        self._create_topics(record)
        for program in wanted:
            self.supervisor.start(program.name)
        simulator = f"http://127.0.0.1:{self.settings.simulator_port}"
        probes = {"simulator": lambda: request(f"{simulator}/healthz", timeout=2.0)[0] > 0}
        if record.mail:
            inbox = f"http://127.0.0.1:{self.settings.inbox_port}/"
            probes["inbox"] = lambda: request(inbox, timeout=2.0)[0] == HTTPStatus.OK
        for service in SERVICES:
            for replica in range(record.scale[service]):
                url = self.settings.url(service, replica)
                probes[program_name(service, replica)] = lambda url=url: is_ready(url)  # type: ignore[misc]
        if self.haproxy:
            for service in (name for name in SERVICES if record.scale[name]):
                probes[f"{gateway.NAME}-{service}"] = partial(is_ready, self.settings.gateway_url(service))
        self._await(probes, crashes)

    def _await(self, probes: Mapping[str, Callable[[], bool]], crashes: Crashes) -> None:
        """Return once all are ready. Raises StackError with the end of the log of what is not."""
        try:
            wait_ready(probes, READY_TIMEOUT, crashes.of)
        except StackError as error:
            names = [name for name in probes if name in str(error).split(": not ready")[0].split(", ")]
            ends = "\n".join(log_end(self.settings.run_dir, name) for name in names)
            raise StackError(f"{error} The last lines of what it logged:\n{ends}") from error

    def _create_topics(self, record: Record) -> None:
        env = {**os.environ, **service_env(self.settings, record.env)}
        imports = [service.wiring for service in record.wanted()]
        command = [sys.executable, "-m", "eventbus", "topics", "create", *imports]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise StackError(f"The topics could not be created: {last_line(done.stdout + done.stderr)}")

    def down(self) -> None:
        """End the services, then Kafka, then supervisord, each in order. Data stays."""
        pid = self.supervisor.pid()
        if pid is None:
            ended = end_orphans(self.settings.run_dir)
            print(f"Ended {ended} processes left behind." if ended else "Nothing is running.")
            return
        names = self._alive() - {"kafka"}
        for name in names:
            self.supervisor.stop(name, wait=False)
        self._until(lambda: not self._alive() & names, 60.0, "the services to end")
        self.supervisor.shutdown()
        try:
            self._until(lambda: not _is_alive(pid), 90.0, "supervisord to end")
        except StackError:
            os.kill(pid, signal.SIGKILL)
            end_orphans(self.settings.run_dir)
        print("The stack is down; its data stays (`make clean` forgets it).")

    def _until(self, condition: Any, timeout: float, what: str) -> None:
        wait_ready({what: condition}, timeout, lambda _: "")

    def ps(self) -> None:
        """One line a process: state, pid, address."""
        if not self.running():
            print("Nothing is running: start it with `make up`.")
            return
        record = Record.load(self.settings.run_dir)
        addresses = ports(self.settings, record.scale, record.mail)
        print(f"{'PROCESS':<16} {'STATE':<9} {'READY':<6} {'PID':>8}  {'UP':<9} ADDRESS")
        for name, info in self.supervisor.processes().items():
            port = addresses.get(name, 0)
            if name == gateway.NAME:
                port = self.settings.gateway_port("order")
            service = name not in ("kafka", "simulator", "inbox")
            ready = ("yes" if is_ready(f"http://127.0.0.1:{port}") else "no") if service else "-"
            up = time.strftime("%H:%M:%S", time.gmtime(max(0, info["now"] - info["start"])))
            address = f"{'http://' if name != 'kafka' else ''}127.0.0.1:{port}"
            up = up if info["pid"] else "-"
            print(f"{name:<16} {info['statename']:<9} {ready:<6} {info['pid'] or '-':>8}  {up:<9} {address}")

    def logs(self, service: str | None, follow: bool) -> None:
        """Print the end of the logs, of one service or of all, and go on as they grow if ``follow``."""
        command = self._tail(service, follow)
        os.execvp(command[0], command)

    def follow(self, service: str, replica: int) -> None:
        """Print the log of a replica as it grows, until interrupted."""
        log = self.settings.run_dir / "logs" / f"{program_name(service, replica)}.log"
        subprocess.run(["tail", "-n", "50", "-F", str(log)])

    def _tail(self, service: str | None, follow: bool) -> list[str]:
        folder = self.settings.run_dir / "logs"
        files = sorted(p for p in folder.glob("*.log") if service is None or _belongs(p, service))
        if not files:
            known = ", ".join(["kafka", "simulator", *SERVICES])
            raise StackError(f"There are no logs{f' of {service}' if service else ''}: names are {known}.")
        return ["tail", "-n", "50", *(["-F"] if follow else []), *map(str, files)]

    def clean(self) -> None:
        """End everything and forget all data; only fetched jars stay."""
        if self.running():
            self.down()
        else:
            end_orphans(self.settings.run_dir)
        if not self.settings.run_dir.is_dir():
            return
        for path in self.settings.run_dir.iterdir():
            if path == self.settings.cache_dir or path.name == "lock":
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        print("Forgot all data of the local stack.")


def _belongs(path: Path, service: str) -> bool:
    return path.stem == service or path.stem.startswith(f"{service}-")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
