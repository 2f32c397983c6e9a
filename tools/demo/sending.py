"""Sends invoices through the system: goods into stock, a POST for each invoice, and then all settle."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from yarl import URL

from tools.arrivals import Arrivals, Settled
from tools.demo.invoices import Invoice, needed
from tools.demo.posting import ACCEPTED, Client, GaveUp, adjustments, orders, send_all
from tools.demo.progress import Progress
from tools.demo.tally import Tally
from tools.system import System

SETTLED = ("CONFIRMED", "COMPLETED", "FAILED", "CANCELLED")
ASK_AFTER = 2.0


@dataclass(frozen=True)
class Way:
    """How invoices are sent: under which ``run`` name (sent again under the same, nothing happens twice), how many
    requests ``in_flight``, how paid, and how many seconds of ``patience`` without progress."""

    run: str
    in_flight: int
    payment_method: str
    patience: float


async def send_invoices(where: System, invoices: list[Invoice], name: str, way: Way) -> Tally:
    """Stock the products, post the invoices, wait until all that was accepted has settled. Raises GaveUp."""
    print(
        f"{name}: {len(invoices):,} invoices, {sum(len(i.lines) for i in invoices):,} lines; run {way.run}",
        flush=True,
    )
    tally, progress = Tally(invoices), Progress()
    async with Client(way.in_flight, way.patience) as client:
        await _stock(client, where, way.run, invoices, way.in_flight, progress)
        with Arrivals(where.kafka) as arrivals:
            tally.settled = arrivals.settled
            posts = orders(where.order, way.run, ((i.number, i.body(way.payment_method)) for i in invoices))
            accepted = 0
            async for number, answer in send_all(client, posts, way.in_flight):
                tally.answers[number] = answer
                accepted += answer.status == ACCEPTED
                progress.show(
                    f"posted {len(tally.answers):,} of {len(posts):,}: {accepted:,} accepted, "
                    f"{len(arrivals.settled):,} settled"
                )
            await _wait(client, where, tally, arrivals, way.patience, progress)
    progress.end()
    return tally


async def _stock(
    client: Client, where: System, run: str, invoices: list[Invoice], in_flight: int, progress: Progress
) -> None:
    """Put in stock what all invoices together take, so that no order need fail for want of goods."""
    wanted, done = needed(invoices), 0
    async for product, answer in send_all(client, adjustments(where.inventory, run, wanted), in_flight):
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
