"""Payment with a slow gateway: how much of what so many calls at once could carry, it carries."""

from __future__ import annotations

from bench.parts.generated import PATIENCE, Generated, plan
from bench.parts.passage import Passage, passage
from bench.result import Better, Round, Row
from bench.run import Run
from tools.stack.ports import free_port

LATENCY = 100
"""Ms that the gateway takes for each call."""
CALLS = 32
"""Calls under way at once. As many as the default (256) would ask for more orders a second than two cores can pay."""


def payment(bench: Run) -> list[Row]:
    """Payments in a second, of the calls at once divided by the latency of one."""
    possible = CALLS / (LATENCY / 1000)
    found: list[Passage] = []
    for number in range(bench.rounds):
        found.append(paid(bench, round(possible * bench.seconds)))
        bench.say(f"payment, round {number + 1}: {found[-1].rate:.0f} of {possible:.0f} orders/s")
    row = Row(
        "payment-slow-gateway",
        f"orders paid, {CALLS} calls at once to a gateway of {LATENCY} ms",
        "orders/s",
        Better.HIGHER,
        "calls at once / latency",
        0.8,
        [Round(one.rate, possible) for one in found],
        {"CPU µs an order": found[-1].cpu},
    )
    return [row]


def paid(bench: Run, orders: int) -> Passage:
    """Have payment alone pay for orders that were created and wait."""
    system = Generated(bench, stamped=("payment.events",))
    system.fill(plan(orders, services=("order",), ends=(("CONFIRMED", 1),)))
    calls = {"EVENTBUS_MAX_IN_FLIGHT": str(CALLS), "PAYMENT_GATEWAY_CONNECTIONS": str(CALLS)}
    topic = system.settings.topic
    with system.simulator(SIMULATOR_LATENCY=str(LATENCY)) as simulator:
        simulator.wait_ready(f"{system.gateway_url}/healthz", PATIENCE)
        process = system.service("payment", free_port(), **calls)
        servers = system.settings.bootstrap_servers
        return passage(
            servers, topic("payment"), topic("order.events"), topic("payment.events"), process, bench.broker
        )
