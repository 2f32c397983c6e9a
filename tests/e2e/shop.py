"""A customer and a storekeeper: what the tests ask of the system over HTTP."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import httpx

from tests.e2e.running import Stack
from tests.e2e.waiting import until

Json = dict[str, Any]
SETTLE = 30.0


def order_of(*products: str, quantity: int = 1, price: str = "2.50", **more: Any) -> Json:
    """The body of an order with one line for each product."""
    items = [{"productId": p, "quantity": quantity, "unitPrice": price} for p in products]
    return {"userId": "u1", "items": items, "currency": "GBP", "paymentMethod": "tok_ok", **more}


class Shop:
    """The HTTP interfaces of one system."""

    def __init__(self, stack: Stack) -> None:
        def client(service: str) -> httpx.Client:
            return httpx.Client(base_url=stack.url(service), timeout=60.0, trust_env=False)

        self.order, self.payment = client("order"), client("payment")
        self.inventory, self.notification = client("inventory"), client("notification")
        self.simulator = client("simulator")

    def close(self) -> None:
        for client in (self.order, self.payment, self.inventory, self.notification, self.simulator):
            client.close()

    def stocked(self, quantity: int = 100) -> str:
        """A new product with this many pieces in stock; its id."""
        product = f"product-{uuid4().hex[:12]}"
        answer = self.adjust(product, quantity)
        assert answer.status_code == 202, answer.text
        return product

    def adjust(self, product: str, quantity: Any, reason: Any = "delivery", **headers: str) -> httpx.Response:
        """Ask for an adjustment of a product's stock."""
        body = {"quantity": quantity, "reason": reason}
        return self.inventory.post(f"/stock/{product}/adjustments", json=body, headers=headers)

    def stock(self, product: str) -> tuple[int, int]:
        """Pieces available and pieces reserved of a product."""
        answer = self.inventory.get(f"/stock/{product}")
        assert answer.status_code == 200, answer.text
        found = answer.json()
        return found["availableQty"], found["reservedQty"]

    def await_stock(self, product: str, available: int, reserved: int) -> None:
        """Return once a product's stock stands so."""
        wanted = (available, reserved)
        until(lambda: self.stock(product) == wanted, SETTLE, f"{product} has {wanted} available and reserved")

    def post(self, body: Json, **headers: str) -> httpx.Response:
        """``POST /orders``; header names with ``_`` for ``-``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.order.post("/orders", json=body, headers=named)

    def accepted(self, body: Json) -> str:
        """Post an order that must be accepted; its id."""
        answer = self.post(body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["orderId"])

    def get(self, order_id: str, **params: Any) -> Json:
        """The order as it stands."""
        answer = self.order.get(f"/orders/{order_id}", params=params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def settled(self, order_id: str) -> Json:
        """The order once it is settled."""
        return self.await_order(order_id, lambda o: o["status"] not in ("CREATED", "PROCESSING"), "settled")

    def await_order(self, order_id: str, condition: Any, what: str = "as wished") -> Json:
        """The order once it is as wished."""
        last: Json = {}

        def look() -> Json | None:
            nonlocal last
            last = self.get(order_id)
            return last if condition(last) else None

        try:
            return until(look, SETTLE, f"order {order_id} is {what}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it stands so: {last}") from None

    def await_fields(self, order_id: str, **fields: str) -> Json:
        """The order once these fields have these values."""
        return self.await_order(order_id, lambda o: fields.items() <= o.items(), f"{fields}")

    def confirmed(self, body: Json) -> str:
        """Post an order that must end confirmed; its id, once it has."""
        order_id = self.accepted(body)
        assert self.settled(order_id)["status"] == "CONFIRMED"
        return order_id

    def events(self, order_id: str) -> list[Json]:
        """The order's timeline."""
        answer = self.order.get(f"/orders/{order_id}/events")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["events"])

    def kinds(self, order_id: str) -> list[str]:
        """The types of the order's events, oldest first."""
        return [event["type"] for event in self.events(order_id)]

    def change(self, order_id: str, verb: str, body: Json | None = None) -> httpx.Response:
        """``POST /orders/{id}/cancel`` or ``/complete``."""
        return (
            self.order.post(f"/orders/{order_id}/{verb}", json=body)
            if body
            else self.order.post(f"/orders/{order_id}/{verb}")
        )

    def movements(self, order_id: str, outcome: str = "SUCCEEDED") -> list[tuple[str, int]]:
        """What the gateway has on record for an order: kind and amount in minor units."""
        rows = map(json.loads, self.simulator.get("/record").text.splitlines())
        return [
            (r["kind"], r["amount"]) for r in rows if r["orderId"] == order_id and r["outcome"] == outcome
        ]


def assert_problem(answer: httpx.Response, status: int, field: str | None = None) -> Json:
    """The answer is a problem (RFC 9457) of this status, which names this field; returns its members."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = dict(answer.json())
    assert problem["status"] == status
    assert problem["title"]
    if field is not None:
        assert field in [error["field"] for error in problem["errors"]], problem
    return problem
