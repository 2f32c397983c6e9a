"""``python -m examples.fraud``: serves until SIGTERM; ``GET :8004/screenings/{orderId}`` says what was found."""

from fastapi import FastAPI

from eventbus import Bus, Service, serve
from eventbus.http import Problem
from examples.fraud.decider import decider
from schemas import OrderCreated


def routes(app: FastAPI, bus: Bus) -> None:
    @app.get("/screenings/{order_id}")
    async def screening(order_id: str) -> dict[str, str]:
        await bus.caught_up(OrderCreated.topic, order_id)
        if entry := bus.read(decider, order_id):
            return {"orderId": order_id, "verdict": entry.state.verdict}
        raise Problem(404, "Unknown order", f"no order {order_id!r} was created")


if __name__ == "__main__":
    serve(Service("fraud", (decider,), ("schemas", "examples.fraud"), routes, port=8004))
