"""One address for all replicas of a service, on local processes too: HAProxy, where it is installed.

It spreads requests by the same rules as in containers (``tools/gateway/rules.cfg``). Pure, but for :func:`find`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from tools.stack.settings import ROOT, SERVICES, StackSettings
from tools.stack.supervisor import Program

NAME = "gateway"
FILES = ROOT / "tools" / "gateway"
MISSING = "none: install HAProxy (Debian: apt install haproxy), then repeat `make up`"


def find() -> str:
    """The path of ``haproxy``; empty if it is not installed."""
    return shutil.which("haproxy") or ""


def config_file(run_dir: Path) -> Path:
    """Where the gateway's own configuration is written."""
    return run_dir / "gateway.cfg"


def program(settings: StackSettings, haproxy: str) -> Program:
    """HAProxy, with the rules and the file of :func:`config_file`. A signal USR2 has it read them again."""
    files = (FILES / "rules.cfg", config_file(settings.run_dir))
    command = [haproxy, "-W", "-db", *(word for file in files for word in ("-f", str(file)))]
    return Program(NAME, command, {"GATEWAY_FILES": str(FILES), "STACK_RUN_DIR": str(settings.run_dir)})


def config(settings: StackSettings, scale: Mapping[str, int]) -> str:
    """A port for each service that has replicas, and which these are."""
    wanted = {
        name: (settings.gateway_port(name), [settings.port(name, k) for k in range(scale[name])])
        for name in SERVICES
        if scale[name]
    }
    return config_for(wanted)


def config_for(wanted: Mapping[str, tuple[int, list[int]]]) -> str:
    """``wanted``: by the name of a service, the gateway's port and the ports of the replicas, all on loopback."""
    sections = ["global\n    maxconn 1000\n"]
    for name, (port, replicas) in wanted.items():
        servers = "".join(f"    server {name}-{k} 127.0.0.1:{one}\n" for k, one in enumerate(replicas))
        sections += [
            f"frontend {name} from asked\n"
            f"    bind 127.0.0.1:{port}\n"
            f"    use_backend {name}_ready if {{ nbsrv({name}_ready) gt 0 }}\n"
            f"    default_backend {name}_alive\n",
            f"backend {name}_ready from common\n    option httpchk GET /readyz\n{servers}",
            f"backend {name}_alive from common\n    option httpchk GET /healthz\n{servers}",
        ]
    return "\n".join(sections)
