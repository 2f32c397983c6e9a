"""The inventory service: ``python -m services.inventory``. Only this file reads the environment."""

from __future__ import annotations

from eventbus import Mirror, Service, Settings, serve
from schemas import AdjustStock, InventoryFailed
from services.inventory.api import RULES, stock_routes
from services.inventory.reservation import reservation_decider
from services.inventory.settings import InventorySettings
from services.inventory.stock import stock_decider


def service(settings: InventorySettings | None = None) -> Service:
    """What inventory is made of."""
    settings = settings or InventorySettings()
    return Service(
        name="inventory",
        deciders=(reservation_decider(), stock_decider()),
        schemas=("schemas",),
        mirrors=(Mirror(InventoryFailed, major=1),) if Settings().v1_topics else (),
        routes=stock_routes(settings),
        rules=RULES,
        sends=(AdjustStock,),
        port=8002,
    )


if __name__ == "__main__":
    serve(service(), Settings())
