"""What each route of orders asks of its caller."""

from __future__ import annotations

from eventbus import Caller, Rule, Rules, Scope
from eventbus.http import forbidden
from services.order.bodies import OrderBody

RULES: Rules = {
    "POST /orders": Rule(Scope.PLACE, customers=True),
    "GET /orders": Rule(Scope.READ, customers=True),
    "POST /orders/batch": Rule(Scope.PLACE, customers=True),
    "GET /orders/{orderId}": Rule(Scope.READ, customers=True),
    "GET /orders/{orderId}/events": Rule(Scope.READ, customers=True),
    "GET /orders/stream": Rule(Scope.READ, customers=True),
    "GET /orders/{orderId}/stream": Rule(Scope.READ, customers=True),
    "GET /orders/{orderId}/why": Rule(Scope.READ, customers=True),
    "POST /orders/{orderId}/cancel": Rule(Scope.CANCEL, customers=True),
    "POST /orders/{orderId}/complete": Rule(Scope.COMPLETE, customers=True),
}
"""Where customers are let in, the route shows and changes the orders of the caller's own customer only."""


def check_terms(body: OrderBody, who: Caller) -> None:
    """Raises Problem 403 if ``who`` may not place this order: it is another customer's, or says its own prices."""
    if not who.acts_for(body.user_id):
        raise forbidden(f"userId: this caller places orders of {who.user_id} only")
    if not who.may(Scope.PRICE) and any(line.unit_price is not None for line in body.lines):
        raise forbidden(
            f"unitPrice: a caller without the scope {Scope.PRICE} leaves it out, and the price list gives it",
            Scope.PRICE,
        )
