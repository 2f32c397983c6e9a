"""``python -m examples.fraud``: serves until SIGTERM; ``GET :8004/screenings/{orderId}`` says what was found."""

from fastapi import FastAPI

from eventbus import Bus, Rule, Scope, Service, serve
from eventbus.http import NOT_FOUND, Problem
from examples.fraud.decider import screening_decider
from schemas import OrderCreated


def service() -> Service:
    screening = screening_decider()

    def routes(app: FastAPI, bus: Bus) -> None:
        @app.get("/screenings/{order_id}")
        async def show(order_id: str) -> dict[str, str]:
            await bus.caught_up(OrderCreated.topic, order_id)
            if entry := bus.read(screening, order_id):
                return {"orderId": order_id, "verdict": entry.state.verdict}
            raise Problem(NOT_FOUND, f"no order {order_id!r} was created")

    rules = {"GET /screenings/{order_id}": Rule(Scope.READ)}
    return Service("fraud", (screening,), ("schemas", "examples.fraud"), routes, rules, port=8004)


if __name__ == "__main__":
    serve(service())
