"""``python -m tests.integration.silent order``: an order service that has nothing to say about cancellations.

CreateOrder leads to an event, CancelOrder to none, and a rule fails on CompleteOrder. ``POST /ask/{command}/{key}``
sends one and tells what it led to: a list of names, or 504 if that is not known within ``seconds``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from eventbus import Bus, Decider, Message, Service, serve
from schemas import CancelOrder, CompleteOrder, CreateOrder, OrderCreated
from tests.integration.orders import create


@dataclass(frozen=True)
class Nothing:
    """No state."""


def decide(message: Message, state: Nothing) -> Sequence[Message]:
    match message:
        case CreateOrder(order_id=key):
            return [OrderCreated(order_id=key, user_id="u")]
        case CancelOrder():
            return []
    raise RuntimeError("a rule does not understand this")


DECIDER: Decider[Nothing] = Decider(
    log="order.events",
    inputs=(CreateOrder, CancelOrder, CompleteOrder),
    initial=Nothing(),
    decide=decide,
    evolve=lambda state, event: state,
)
COMMANDS: dict[str, Callable[[str], Message]] = {
    "create": create,
    "cancel": lambda key: CancelOrder(order_id=key),
    "complete": lambda key: CompleteOrder(order_id=key),
}


def routes(app: FastAPI, bus: Bus) -> None:
    @app.post("/ask/{command}/{key}")
    async def ask(command: str, key: str, seconds: float = 10.0) -> JSONResponse:
        sent = await bus.send(COMMANDS[command](key))
        began = time.monotonic()
        try:
            events = await bus.answer(sent, seconds)
        except TimeoutError:
            return JSONResponse({"at": str(sent)}, 504)
        return JSONResponse({"events": [e.name for e in events], "took": time.monotonic() - began})


if __name__ == "__main__":
    takes = DECIDER.inputs
    serve(Service(name="order", deciders=(DECIDER,), schemas=("schemas",), routes=routes, sends=takes))
