"""``python -m verification.chaos``: 0 if nothing was lost, doubled or stuck, 1 if so, 2 if it cannot run."""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from tools.stack.ready import request
from tools.stack.settings import ROOT, StackError
from verification.audit.gateway import GatewayAway
from verification.audit.reading import KafkaAway
from verification.audit.report import text
from verification.chaos import faults, order_ends
from verification.chaos.cluster import SIMULATOR, ChaosCluster
from verification.chaos.hostile_bursts import HostileBursts, set_aside_named
from verification.chaos.order_load import OrderLoad
from verification.chaos.report import ChaosResult, table
from verification.chaos.rolling_upgrade import RollingUpgrade
from verification.chaos.schedule import UPGRADE, missing, schedule
from verification.trees import new_ids, next_release

RATE = 30.0
"""Orders a second that two cores hold beside three brokers, with faults."""
AFTER = 30.0
"""Seconds between the end of the load and the audit."""
UPGRADED = 120.0
"""Seconds after the load within which the upgrade must be over."""
DEADLINE = "20s"
ENV = {
    "ORDER_DEADLINE": DEADLINE,
    # a call of the Kafka client that does not return when its coordinator dies must not outlast the deadline
    "EVENTBUS_WATCHDOG": "12",
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m verification.chaos",
        description="Orders on three brokers, amid kills, freezes and a rolling upgrade, then an audit.",
    )
    made.add_argument("--seconds", type=float, default=180.0, help="of load (180)")
    made.add_argument("--rate", type=float, default=RATE, help=f"orders a second ({RATE:g})")
    made.add_argument(
        "--seed", default="", help="of the schedule and the orders (a new one, which is printed)"
    )
    made.add_argument("--replicas", type=int, default=2, help="of each service (2)")
    made.add_argument("--plan", action="store_true", help="print the schedule of the seed, and do nothing")
    made.add_argument("--keep", action="store_true", help="keep logs and data after a clean run too")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """One bounded run; everything it started has ended when it returns."""
    options = parser().parse_args(argv)
    if options.seconds < 10 or options.rate <= 0 or not 1 <= options.replicas <= 9:
        print("--seconds must be 10 or more, --rate above 0, --replicas 1 to 9.", file=sys.stderr)
        return 2
    options.seed = options.seed or secrets.token_hex(4)
    (ROOT / ".run").mkdir(exist_ok=True)
    run_dir = Path(tempfile.mkdtemp(prefix="chaos-", dir=ROOT / ".run"))
    kept = True
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        outcome = run(run_dir, options)
        if outcome is None:
            kept = False
            return 0
        print(table(outcome))
        if not outcome.verdict.clean:
            print(text(outcome.verdict))
        kept = options.keep or not outcome.clean
        return 0 if outcome.clean else 1
    except (StackError, KafkaAway, GatewayAway) as error:
        print(f"The run cannot be made or audited: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
        if kept:
            print(f"Logs and data are in {run_dir}.", file=sys.stderr)
        else:
            shutil.rmtree(run_dir, ignore_errors=True)


def run(run_dir: Path, options: argparse.Namespace) -> ChaosResult | None:
    """Start everything, send orders and faults, wait, audit. Only print the plan and return None with ``--plan``."""
    chaos = ChaosCluster(run_dir, replicas=options.replicas, env=ENV)
    planned = schedule(
        options.seed, options.seconds, chaos.services, faults.broker_names(chaos), others=[SIMULATOR]
    )
    heading = (
        f"Chaos: {options.seconds:g} s at {options.rate:g} orders/s, seed {options.seed}, {len(planned)} faults "
        f"planned, 3 brokers, {options.replicas} replicas a service, ORDER_DEADLINE={DEADLINE}"
    )
    say(heading)
    if never := missing(fault.kind for fault in planned):
        say(f"{options.seconds:g} s are too short for every kind of fault: no {', '.join(map(str, never))}.")
    if options.plan:
        for fault in planned:
            print(f"{fault.at:6.1f} s  {fault.kind.action:<8}{fault.target:<16}{fault.seconds:5.1f} s")
        return None
    release = next_release(run_dir / "next")
    with chaos:
        chaos.wait_shared()
        load = OrderLoad(chaos, options.rate, options.seed)
        load.stock()
        bursts = HostileBursts(chaos, options.seed)
        upgrade = RollingUpgrade(chaos, release, say)
        with load:
            began = load.result.began
            fault_log = faults.carry_out(chaos, planned, began, options.seconds, bursts, upgrade, say)
            load.stop()
            chaos.heal()
            upgraded = upgrade.end(UPGRADED)
            fault_log.lasted(UPGRADE, upgraded.ended)
            say(f"The load has ended; {AFTER:g} s later comes the audit.")
            time.sleep(max(0.0, load.result.ended + AFTER - time.monotonic()))
            ends = chaos.children.ends.copy()
            chaos.wait_ready()
            hostile = bursts.end()
            verdict = chaos.audit(tree=release.released)
            if set_aside_named(chaos, hostile, verdict):
                say(
                    f"{len(hostile.named)} hostile records that the audit names are set aside; the audit runs again."
                )
                chaos.wait_ready()
                verdict = chaos.audit(tree=release.released)
            doubles = [d["orderId"] for d in json.loads(request(f"{chaos.url(SIMULATOR)}/doubles")[1])]
            found = order_ends.read(chaos.kafka, new_ids(release))
    return ChaosResult(heading, load.result, fault_log, found, verdict, doubles, ends, hostile, upgraded)


def say(line: str) -> None:
    """Progress, on standard error: standard output holds only the table."""
    print(line, file=sys.stderr, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
