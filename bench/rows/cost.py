"""What an order costs: clients that post and wait, beside clients of a bare app that makes a POST durable, and of
bare services that carry an order to CONFIRMED."""

from __future__ import annotations

from typing import Any

from bench.bare_app import BareApp
from bench.bare_flow import BareFlow
from bench.load import Measured, closed_loop, run
from bench.ours import Ours
from bench.processes import NotMeasured
from bench.result import Better, Round, Row
from bench.run import Run
from bench.shop import confirmed_orders

CLIENTS = 128
WARM_UPS = 4
"""Windows for which our services and the bare ones bear the load before it is measured: until then the code of both
brokers is being compiled, and theirs is the younger one."""


def cost(bench: Run) -> list[Row]:
    """CPU of a one-item order from POST to CONFIRMED, as a multiple of that of one bare POST."""
    stack = bench.ours
    with BareApp(bench) as app:
        settle(stack, CLIENTS, 0.0, bench.seconds)
        app.load(CLIENTS, 0.0, bench.seconds)
        found = bench.pairs(
            "CPU per order",
            lambda seconds: settle(stack, CLIENTS, bench.warm, seconds),
            lambda seconds: app.load(CLIENTS, bench.warm, seconds),
            lambda ours, bare: (
                f"{ours.cost:.2f} / {bare.cost:.2f} ms, {ours.rate:.0f} orders/s / {bare.rate:.0f} POSTs/s"
            ),
        )
    row = _row(
        "cpu-per-order",
        "CPU of one bare POST, its broker's share included",
        8.0,
        found,
        {
            "reference's POSTs/s": [round(bare.rate) for _, bare in found],
            "reference's share of raw produce": round(found[-1][1].rate / bench.raw_produce, 3),
        },
    )
    return [row]


def cost_over_bare(bench: Run) -> list[Row]:
    """CPU of a one-item order from POST to CONFIRMED, beside bare services that write the same records and rows."""
    stack, posts = bench.ours, list[Measured]()
    with BareFlow(bench) as flow, BareApp(bench) as app:

        def bare(seconds: float) -> Measured:
            posts.append(app.load(CLIENTS, bench.warm, seconds / 2))
            return carried(flow, CLIENTS, bench.warm, seconds)

        settle(stack, CLIENTS, 0.0, WARM_UPS * bench.seconds)
        carried(flow, CLIENTS, 0.0, WARM_UPS * bench.seconds)
        found = bench.pairs(
            "CPU over bare services",
            lambda seconds: settle(stack, CLIENTS, bench.warm, seconds),
            bare,
            lambda ours, bare: (
                f"{ours.cost:.2f} / {bare.cost:.2f} ms, {ours.rate:.0f} / {bare.rate:.0f} orders/s"
            ),
        )
    row = _row(
        "over-bare",
        "bare services that write the same records and rows, and do nothing else",
        None,
        found,
        {
            "reference's orders/s": [round(bare.rate) for _, bare in found],
            "p50, ms": [round(ours.ms(0.5)) for ours, _ in found],
            "reference's p50, ms": [round(bare.ms(0.5)) for _, bare in found],
            "reference as a multiple of a bare POST beside it": [
                round(bare.cost / post.cost, 1)
                for (_, bare), post in zip(found, posts[-len(found) :], strict=True)
            ],
        },
    )
    return [row]


def _row(
    name: str,
    reference: str,
    goal: float | None,
    found: list[tuple[Measured, Measured]],
    details: dict[str, Any],
) -> Row:
    last_ours, last_bare = found[-1]
    return Row(
        name,
        f"CPU per one-item order, all services, simulator and broker, {CLIENTS} clients that post and wait",
        "ms",
        Better.LOWER,
        reference,
        goal,
        [Round(ours.cost, bare.cost) for ours, bare in found],
        {
            "ms by process": last_ours.costs,
            "reference's ms by process": last_bare.costs,
            "orders/s": [round(ours.rate) for ours, _ in found],
            **details,
        },
    )


def carried(flow: BareFlow, clients: int, warm: float, seconds: float) -> Measured:
    """The same clients of the bare services. Raises NotMeasured, with the name of a service that ended."""
    try:
        return settle(flow, clients, warm, seconds)
    except NotMeasured:
        flow.check()
        raise


def settle(ours: Ours | BareFlow, clients: int, warm: float, seconds: float) -> Measured:
    """Clients that post an order and wait until it is CONFIRMED, one after the other."""

    async def load() -> Measured:
        async with confirmed_orders(ours.system) as do:
            return await closed_loop(clients, warm, seconds, do, ours.pids)

    return run(load(), warm + seconds)
