"""One entry in services.toml is enough: whatever handles services by name knows a fifth one by it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

from tests.support.processes import run_python
from tools.registry import FILE, ROOT, SERVICES, STARTED

PORT = min(set(range(8000, 8010)) - {service.port for service in SERVICES})
FIFTH = f"""
[returns]
port = {PORT}
package = "shop.returns"
dockerfile = "shop/returns/Dockerfile"
"""
RETURNS = """
from dataclasses import dataclass
from eventbus import Command, Decider, Event, Service
from eventbus.model.messages import message
from schemas import OrderCreated

@message(topic="returns.commands", key="order_id", schema="Return.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class Return(Command):
    order_id: str

decider = Decider("returns.events", (Return, OrderCreated), None, lambda m, s: [], lambda s, e: s)
service = Service("returns", (decider,), ("schemas",), port=PORT)
"""
LOOK = """
import json
from pathlib import Path
from tools import wiring
from verification.audit import ledger, parked
from verification.chaos.cluster import SERVICES as chaos
from verification.hostile.catalogue import IN_LETTERS, IN_RETRIES, OWN_LOGS
from tools.operate import environment
from verification.sim.drawing import draw_plan
from verification.sim.simulation import Simulation
from tools.stack.compose import compose_env
from tools.stack.plan import ports, programs
from tools.stack.settings import PASSED_ON, Record, StackSettings, parse_scale
from tests.support.system import OWN_LOGS as tested

settings, record = StackSettings(run_dir=Path("/r")), Record(scale=Record().scale | parse_scale(["returns=2"]))
planned = {p.name: p for p in programs(settings, record, ["java"])}
print(json.dumps({
    "plan": [*planned["returns-1"].command[1:], planned["returns-1"].env["EVENTBUS_HTTP_PORT"]],
    "ports": {name: port for name, port in ports(settings, record.scale).items() if "returns" in name},
    "started": Record().scale["returns"],
    "passed on": "RETURNS_" in PASSED_ON,
    "held": planned["order"].env["ORDER_WATCHED"],
    "topics made": [service.wiring for service in record.wanted()][-1],
    "compose": compose_env(settings, record.wanted())["STACK_RETURNS_PORT"],
    "topics": sorted(topic.name for topic in wiring.topics() if "returns" in topic.name),
    "dry run": environment()["EVENTBUS_URLS"].split()[-1],
    "audit": [ledger.WRITERS["returns.events"], "returns.dlq" in ledger.LETTERS, parked.LOGS["returns.retry"]],
    "hostile": [OWN_LOGS["returns.events"], "returns.retry" in IN_RETRIES.topics, "returns.dlq" in IN_LETTERS.topics],
    "chaos": "returns" in chaos,
    "simulated": [r.name for r in Simulation(draw_plan(1)).replicas if "returns" in r.name],
    "tests": tested["returns"],
}))
"""


def test_a_fifth_service_is_known_everywhere_by_one_entry(tmp_path: Path) -> None:
    """A registry with one more table, and a package that nothing else names."""
    (tmp_path / "services.toml").write_text((ROOT / "services.toml").read_text() + FIFTH)
    package = tmp_path / "shop" / "returns"
    package.mkdir(parents=True)
    (package / "__main__.py").write_text(textwrap.dedent(RETURNS).replace("PORT", str(PORT)))
    env = {FILE: str(tmp_path / "services.toml"), "PYTHONPATH": str(tmp_path)}

    done = run_python(["-c", LOOK], dict(env))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)

    assert found == {
        "plan": ["-m", "shop.returns", str(PORT + 10)],
        "ports": {"returns": PORT, "returns-1": PORT + 10},
        "started": 1,
        "passed on": True,
        "held": ",".join([*(s.name for s in STARTED if s.name != "order"), "returns"]),
        "topics made": "shop.returns.__main__:service",
        "compose": str(PORT),
        "topics": [f"returns.{kind}" for kind in ("admin", "commands", "dlq", "events", "retry")],
        "dry run": f"returns=http://127.0.0.1:{PORT}",
        "audit": ["returns", True, ["returns.events"]],
        "hostile": ["returns", True, True],
        "chaos": True,
        "simulated": found["simulated"],
        "tests": ["returns.events"],
    }
    assert len(found["simulated"]) >= 2
    make = ["make", "--no-print-directory", "--dry-run", "scale", "returns=2", f"PYTHON={sys.executable}"]
    done = subprocess.run(
        make, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=60
    )
    assert "returns=2" in done.stdout.split("tools.stack scale")[1], done.stderr
    logs = ["-m", "tools.stack", "logs", "returns", "--run-dir", str(tmp_path / "run")]
    assert ", ".join([SERVICES[-1].name, "returns"]) in run_python(logs, {**env, "STACK": "local"}).stderr


def test_services_never_import_each_other_whatever_their_names(tmp_path: Path) -> None:
    """The contract of pyproject.toml finds an import from one service into another, of a service it does not name."""
    for path in (ROOT / "services", ROOT / "examples"):
        for init in path.glob("**/__init__.py"):
            copy = tmp_path / init.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text("")
    (tmp_path / "services" / "returns").mkdir()
    (tmp_path / "services" / "returns" / "__init__.py").write_text("import services.order\n")
    config = tmp_path / ".importlinter"
    text = (ROOT / "pyproject.toml").read_text()
    contracts = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    [contract] = [c for c in contracts if c["name"] == "Services never import each other"]
    listed = "\n".join(f"    {name}" for name in contract["modules"])
    config.write_text(
        "[importlinter]\nroot_packages =\n    services\n    examples\n"
        f"[importlinter:contract:1]\nname = independent\ntype = independence\nmodules =\n{listed}\n"
    )
    command = [str(Path(sys.executable).with_name("lint-imports")), "--config", str(config), "--no-cache"]
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "services.returns -> services.order" in done.stdout, (
        done.stdout + done.stderr
    )


def test_every_package_of_the_registry_is_where_the_contract_looks() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for service in SERVICES:
        parent = service.package.rpartition(".")[0]
        assert f'"{parent}.*"' in text, service.package
