"""``python -m tools.demo [--data FILE]``: 0 if all orders settled and the audit is clean."""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import KafkaException

from eventbus.visible import visible
from tools import system
from tools.demo.invoices import BadData, load
from tools.demo.posting import GaveUp
from tools.demo.sending import Way, send_invoices
from tools.stack.ready import is_ready
from tools.stack.settings import ROOT, StackError
from tools.system import System
from verification.audit.gateway import GatewayAway
from verification.audit.reading import KafkaAway
from verification.audit.report import text
from verification.audit.run import audit

SAMPLE = ROOT / "data" / "online-retail" / "sample.jsonl"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m tools.demo", description="Send real invoices through the system."
    )
    made.add_argument("--data", type=Path, help="invoices, .jsonl or .jsonl.gz (DATA; default: the sample)")
    made.add_argument("--in-flight", type=int, default=64, help="requests at a time (64)")
    made.add_argument(
        "--payment-method", default="card", help="of all orders; `card`: the simulator declines 10 %%"
    )
    made.add_argument(
        "--run", help="name of this run: giving that of an earlier one repeats it, and nothing twice"
    )
    made.add_argument(
        "--patience", type=float, default=120.0, help="seconds without progress before giving up (120)"
    )
    made.add_argument("--no-audit", action="store_true", help="stop before the audit")
    system.add_options(made)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; 0 if everything settled and the audit is clean, 1 if not, 2 if it could not be run."""
    options = parser().parse_args(argv)
    try:
        where = system.find(options)
        path = options.data or Path(os.environ.get("DATA") or SAMPLE)
        invoices = load(path)
        start_if_needed(where)
        name = options.run or time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        way = Way(name, options.in_flight, options.payment_method, options.patience)
        tally = asyncio.run(send_invoices(where, invoices, path.name, way))
        print(tally.text(), flush=True)
        if options.no_audit:
            return 1 if tally.open() else 0
        verdict = audit(where, say=lambda line: print(line, flush=True))
    except (BadData, OSError, StackError, GaveUp, KafkaAway, GatewayAway) as error:
        print(visible(str(error)), file=sys.stderr)
        return 2
    except KafkaException as error:
        print(f"Kafka at {where.kafka.bootstrap_servers}: {error.args[0].str()}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(text(verdict))
    return 0 if verdict.clean and not tally.open() else 1


def start_if_needed(where: System) -> None:
    """Start the local stack where none answers. Raises StackError if that fails."""
    if is_ready(where.order) and is_ready(where.inventory):
        return
    if subprocess.run([sys.executable, "-m", "tools.stack", "up"], cwd=ROOT).returncode:
        raise StackError("The demo needs a running system: the reason why it did not start stands above.")


if __name__ == "__main__":
    sys.exit(main())
