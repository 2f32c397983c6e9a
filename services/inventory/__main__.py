"""``python -m services.inventory``: reads the environment, serves until SIGTERM."""

from __future__ import annotations

from eventbus import Service, Settings, serve
from services.inventory.api import stock_routes
from services.inventory.reservation import reservation_decider
from services.inventory.settings import InventorySettings
from services.inventory.stock import stock_decider


def service() -> Service:
    """The inventory service, wired up from the environment."""
    routes = stock_routes(InventorySettings())
    deciders = (reservation_decider, stock_decider)
    return Service("inventory", deciders, ("schemas",), routes, port=8002)


if __name__ == "__main__":
    serve(service(), Settings())
