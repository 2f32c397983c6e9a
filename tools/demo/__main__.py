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
from yarl import URL

from eventbus.visible import visible
from tools import system
from tools.arrivals import Arrivals, Settled
from tools.demo.invoices import BadData, Invoice, load, needed
from tools.demo.posting import ACCEPTED, Client, GaveUp, adjustments, orders, send_all
from tools.demo.progress import Progress
from tools.demo.tally import Tally
from tools.stack.ready import is_ready
from tools.stack.settings import ROOT, StackError
from tools.system import System
from verification.audit.gateway import GatewayAway
from verification.audit.reading import KafkaAway
from verification.audit.report import text
from verification.audit.run import audit

SAMPLE = ROOT / "data" / "online-retail" / "sample.jsonl"
SETTLED = ("CONFIRMED", "COMPLETED", "FAILED", "CANCELLED")
ASK_AFTER = 2.0


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
        tally = asyncio.run(run(where, invoices, path.name, options))
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


async def run(where: System, invoices: list[Invoice], name: str, options: argparse.Namespace) -> Tally:
    """Stock the products, post the invoices, wait until all that was accepted has settled."""
    run_name = options.run or time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    print(
        f"{name}: {len(invoices):,} invoices, {sum(len(i.lines) for i in invoices):,} lines; run {run_name}",
        flush=True,
    )
    tally, progress = Tally(invoices), Progress()
    async with Client(options.in_flight, options.patience) as client:
        await _stock(client, where, run_name, invoices, options.in_flight, progress)
        with Arrivals(where.kafka) as arrivals:
            tally.settled = arrivals.settled
            posts = orders(
                where.order, run_name, ((i.number, i.body(options.payment_method)) for i in invoices)
            )
            accepted = 0
            async for number, answer in send_all(client, posts, options.in_flight):
                tally.answers[number] = answer
                accepted += answer.status == ACCEPTED
                progress.show(
                    f"posted {len(tally.answers):,} of {len(posts):,}: {accepted:,} accepted, "
                    f"{len(arrivals.settled):,} settled"
                )
            await _wait(client, where, tally, arrivals, options.patience, progress)
    progress.end()
    return tally


async def _stock(
    client: Client, where: System, run_name: str, invoices: list[Invoice], in_flight: int, progress: Progress
) -> None:
    """Put in stock what all invoices together take, so that no order need fail for want of goods."""
    wanted, done = needed(invoices), 0
    async for product, answer in send_all(client, adjustments(where.inventory, run_name, wanted), in_flight):
        if answer.status != ACCEPTED:
            raise GaveUp(
                f"product {product!r} could not be put in stock: {answer.status} {dict(answer.body)}"
            )
        done += 1
        progress.show(f"put in stock {done:,} of {len(wanted):,} products")
    progress.end()
    print(
        f"In stock: {sum(wanted.values()):,} pieces of {len(wanted):,} products, all that the invoices take.",
        flush=True,
    )


async def _wait(
    client: Client, where: System, tally: Tally, arrivals: Arrivals, patience: float, progress: Progress
) -> None:
    """Return once every accepted order has settled, or nothing has settled for ``patience`` seconds."""
    left, moved, asked = len(tally.open()), time.monotonic(), time.monotonic()
    while left:
        await asyncio.sleep(0.05)
        now, still = time.monotonic(), tally.open()
        if len(still) < left:
            left, moved = len(still), now
        elif now - moved > patience:
            print(
                f"{left:,} orders have not settled; giving up after {patience:.0f} s without progress.",
                flush=True,
            )
            return
        elif now - max(moved, asked) > ASK_AFTER:
            # An order that settled before this run began to listen is not heard: ask for it.
            asked = now
            await _ask(client, where, still[:500], arrivals)
        progress.show(f"waiting for {left:,} orders to settle")


async def _ask(client: Client, where: System, ids: list[str], arrivals: Arrivals) -> None:
    for found in await asyncio.gather(*(client.get(URL(f"{where.order}/orders/{order}")) for order in ids)):
        if found and found.get("status") in SETTLED:
            failure = found.get("failure") or {}
            why = f"{failure.get('stage')}: {failure.get('reason')}" if failure else ""
            arrivals.settled.setdefault(
                str(found["orderId"]), Settled(str(found["status"]), float("nan"), why)
            )


if __name__ == "__main__":
    sys.exit(main())
