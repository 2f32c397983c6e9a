"""A little of everything that can happen to an order, so that there is a history to rebuild or replay."""

from __future__ import annotations

from typing import Any

from schemas import CompleteOrder
from tests.integration.orders import create, order_ids
from tests.support.processes import ServiceProcess
from tests.support.system import OWN_LOGS, SERVICES, Simulator, System
from tests.support.waiting import eventually

LOGS = tuple(log for logs in OWN_LOGS.values() for log in logs)
WRITTEN = (*LOGS, "inventory.answers", "stock.commands", *(f"{service}.dlq" for service in SERVICES))
"""Every topic a processor writes to."""


class Shop:
    """All four services and the simulator, with orders in every end state."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.simulator: Simulator = system.simulator()
        self.services = {name: system.service(name) for name in SERVICES}
        self.ends: dict[str, str] = {}

    def start(self) -> None:
        for process in self.services.values():
            process.start()
        for process in self.services.values():
            process.wait_ready()

    def stop(self) -> None:
        for process in self.services.values():
            process.stop()

    def __getitem__(self, name: str) -> ServiceProcess:
        return self.services[name]

    def order(self, end: str, **body: Any) -> str:
        """Place an order that is to end so; returns its id."""
        request = {"userId": "anne", "items": [{"productId": "cup", "quantity": 2, "unitPrice": "2.50"}]}
        answer = self["order"].post("/orders", json=request | {"paymentMethod": "tok_ok"} | body)
        assert answer.status_code == 202, answer.text
        order_id: str = answer.json()["orderId"]
        self.ends[order_id] = end
        return order_id

    def trade(self) -> None:
        """Orders that are confirmed, completed, cancelled and paid back, and fail in each way."""
        self.system.stock(self["inventory"], 40, "cup", "pot")
        lines = [{"productId": p, "quantity": 1, "unitPrice": "0.99"} for p in ("cup", "pot", "cup")]
        for _ in range(3):
            self.order("CONFIRMED", items=lines)
        self.order("CONFIRMED", items=[{"productId": "cup", "quantity": 1, "unitPrice": "0"}])
        self.order("CONFIRMED", paymentMethod="tok_flaky")
        self.order("FAILED", paymentMethod="tok_declined")
        self.order("FAILED", items=[*lines, {"productId": "pot", "quantity": 4000, "unitPrice": "1"}])
        self.insist()
        ended = {"complete": self.order("CONFIRMED"), "cancel": self.order("CONFIRMED")}
        self.wait_settled()
        for verb, order_id in ended.items():
            answer = self["order"].post(f"/orders/{order_id}/{verb}")
            assert answer.status_code == 202, answer.text
            self.ends[order_id] = "COMPLETED" if verb == "complete" else "CANCELLED"
        # Enough for the order that could not be had: a replay must not change the answer it was given.
        self.system.stock(self["inventory"], 10_000, "pot")
        self.wait_settled()
        self.wait_quiet()

    def insist(self) -> None:
        """Somebody wants an order completed that is still open, more often than its log says so."""
        (order_id,) = order_ids(1)
        complete = CompleteOrder(order_id=order_id)
        self.system.topics.send(create(order_id), *[complete] * 30)
        self.ends[order_id] = "CONFIRMED"

    def statuses(self) -> dict[str, str]:
        return {i: self["order"].get(f"/orders/{i}").json()["status"] for i in self.ends}

    def wait_settled(self) -> None:
        eventually(lambda: self.statuses() == self.ends, f"the orders end as {self.ends}")

    def wait_quiet(self) -> None:
        """Return once every service has decided all there is, which leads to nothing more."""

        def quiet() -> bool:
            before = self.system.topics.ends(*WRITTEN)
            self.system.wait_consumed(*SERVICES)
            return self.system.topics.ends(*WRITTEN) == before

        eventually(quiet, "nothing is left to decide")

    def facts(self) -> dict[str, Any]:
        """All that must not change: topics, folded states, calls of the gateway, notifications."""
        return {
            "ends": self.system.topics.ends(*WRITTEN),
            "state": {name: self.system.dump(name) for name in SERVICES},
            "record": self.simulator.record(),
            "calls": self.simulator.calls(),
            "notifications": (self.system.directory / "notifications.log").read_text(),
        }
