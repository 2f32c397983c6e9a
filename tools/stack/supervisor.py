"""supervisord: its configuration, and talking to it over its socket.

The configuration is generated; supervisord itself is a child of ``up`` that detaches. Its XML-RPC interface
is documented at http://supervisord.org/api.html.
"""

from __future__ import annotations

import hashlib
import http.client
import shlex
import socket
import subprocess
import sys
import tempfile
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.stack.private import write_private
from tools.stack.settings import ROOT, StackError

SOCKET_PATH_LIMIT = 100
NO_SUCH_NAME = 10
ALREADY_STARTED = 60
NOT_RUNNING = 70


@dataclass(frozen=True)
class Program:
    """One process to keep alive. ``stop_wait`` (s): how long it may take to end before it is killed."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    stop_wait: int = 30


def socket_path(run_dir: Path) -> Path:
    """The control socket: in the run directory unless its path is too long for a Unix socket."""
    path = run_dir / "supervisor.sock"
    if len(str(path)) <= SOCKET_PATH_LIMIT:
        return path
    return (
        Path(tempfile.gettempdir()) / f"stack-{hashlib.sha256(str(run_dir).encode()).hexdigest()[:16]}.sock"
    )


def supervisor_config(run_dir: Path, programs: Sequence[Program]) -> str:
    """The text of ``supervisord.conf`` for these programs.

    Programs do not start by themselves: ``up`` starts them in order. From then on they are restarted whenever
    they end, however often (``startretries``).
    """
    control = socket_path(run_dir)
    sections = [
        f"[unix_http_server]\nfile={_literal(control)}\nchmod=0700\n",
        "[supervisord]\n"
        f"pidfile={_literal(run_dir / 'supervisord.pid')}\n"
        f"logfile={_literal(run_dir / 'logs' / 'supervisord.log')}\n"
        f"logfile_maxbytes=10MB\nlogfile_backups=2\ndirectory={_literal(ROOT)}\n"
        "identifier=stack\nminfds=1024\numask=077\n",
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n",
        f"[supervisorctl]\nserverurl=unix://{_literal(control)}\n",
    ]
    return "\n".join(sections + [_program(run_dir, program) for program in programs])


def _program(run_dir: Path, program: Program) -> str:
    environment = ",".join(f"{name}={_quoted(value)}" for name, value in program.env.items())
    return (
        f"[program:{program.name}]\n"
        f"command={_literal(shlex.join(program.command))}\n"
        f"environment={environment}\n"
        "autostart=false\nautorestart=true\nstartsecs=2\nstartretries=100000\n"
        f"stopsignal=TERM\nstopwaitsecs={program.stop_wait}\nredirect_stderr=true\n"
        f"stdout_logfile={_literal(run_dir / 'logs' / (program.name + '.log'))}\n"
        "stdout_logfile_maxbytes=20MB\nstdout_logfile_backups=3\n"
    )


def _literal(value: object) -> str:
    return str(value).replace("%", "%%")


def _quoted(value: str) -> str:
    quote = "'" if '"' in value else '"'
    return f"{quote}{_literal(value)}{quote}"


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = str(path)

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _Connection(self._path)


class Supervisor:
    """The supervisord of one run directory."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.config = run_dir / "supervisord.conf"

    def _call(self, method: str, *arguments: Any) -> Any:
        transport = _Transport(socket_path(self.run_dir))
        with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as server:
            return getattr(server.supervisor, method)(*arguments)

    def pid(self) -> int | None:
        """The process id of supervisord, None if it does not run."""
        try:
            return int(self._call("getPID"))
        except (OSError, http.client.HTTPException):
            return None

    def write(self, programs: Sequence[Program]) -> None:
        """Write the configuration; takes effect with ``launch`` or ``update``."""
        (self.run_dir / "logs").mkdir(parents=True, exist_ok=True)
        write_private(self.config, supervisor_config(self.run_dir, programs))

    def launch(self) -> None:
        """Start supervisord in the background. Raises StackError with what it printed if it does not start."""
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.config)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        if done.returncode:
            printed = (done.stderr + done.stdout).strip().splitlines() or ["nothing"]
            raise StackError(f"supervisord did not start; it printed: {printed[-1]}")

    def update(self) -> None:
        """Take the written configuration: end what is gone or has changed, add what is new or has changed."""
        try:
            added, changed, removed = self._call("reloadConfig")[0]
        except xmlrpc.client.Fault as fault:
            raise StackError(f"supervisord refused {self.config}: {fault.faultString}") from fault
        for name in [*changed, *removed]:
            self._call("stopProcessGroup", name)
            self._call("removeProcessGroup", name)
        for name in [*added, *changed]:
            self._call("addProcessGroup", name)

    def processes(self) -> dict[str, dict[str, Any]]:
        """Name to supervisord's ``getProcessInfo`` of every program."""
        return {info["name"]: info for info in self._call("getAllProcessInfo")}

    def start(self, name: str) -> None:
        """Begin to start a program; does nothing if it runs."""
        self._ignoring(ALREADY_STARTED, "startProcess", name, False)

    def stop(self, name: str, wait: bool = True) -> None:
        """End a program until it is started again; does nothing if it does not run."""
        self._ignoring(NOT_RUNNING, "stopProcess", name, wait)

    def signal(self, name: str, signal: str) -> None:
        """Send a signal, such as ``USR2``, to a program; does nothing if it does not run."""
        self._ignoring(NOT_RUNNING, "signalProcess", name, signal)

    def _ignoring(self, expected: int, method: str, *arguments: Any) -> None:
        try:
            self._call(method, *arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == NO_SUCH_NAME:
                raise StackError(f"No such process: {arguments[0]}. `make ps` lists them.") from fault
            if fault.faultCode != expected:
                raise

    def shutdown(self) -> None:
        """Ask supervisord to end all programs and itself; returns at once."""
        self._call("shutdown")


def log_end(run_dir: Path, name: str, lines: int = 15) -> str:
    """The last lines a program logged, below the name of the file."""
    path = run_dir / "logs" / f"{name}.log"
    text = path.read_text(errors="replace").splitlines()[-lines:] if path.exists() else []
    return "\n".join([f"--- {path}", *(text or ["(nothing)"])])


class Crashes:
    """Notices, over repeated looks at supervisord, a process that keeps ending soon after it started."""

    LIMIT = 3

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.pids: dict[str, set[int]] = {}

    def of(self, names: set[str]) -> str:
        """Why waiting for these programs is of no use, or an empty string."""
        for name, info in self.supervisor.processes().items():
            seen = self.pids.setdefault(name, set())
            if info["pid"]:
                seen.add(int(info["pid"]))
            if name in names and (len(seen) > self.LIMIT or info["statename"] == "FATAL"):
                last = log_end(self.supervisor.run_dir, name, 1).splitlines()[-1]
                return f"since {name} keeps ending soon after its start ({last.strip()})"
        return ""
