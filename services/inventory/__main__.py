"""``python -m services.inventory``: reads the environment, serves until SIGTERM."""

from __future__ import annotations

from eventbus import Service, Settings, serve
from services.inventory.api import stock_routes
from services.inventory.reservation import reservation_decider
from services.inventory.settings import InventorySettings
from services.inventory.stock import stock_decider


def main() -> None:
    """Run one replica of inventory."""
    routes = stock_routes(InventorySettings())
    serve(
        Service("inventory", (reservation_decider, stock_decider), ("schemas",), routes, port=8002),
        Settings(),
    )


if __name__ == "__main__":
    main()
