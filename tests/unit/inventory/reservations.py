"""An order of two products, and the events that bring its reservation into every phase."""

from __future__ import annotations

from eventbus import Event
from eventbus.testing import Scenario, given
from schemas import (
    Contact,
    InventoryFailed,
    InventoryReleased,
    InventoryReserved,
    InventoryShipped,
    Item,
    OrderCancelled,
    OrderCompleted,
    OrderCreated,
    OrderFailed,
    ProductRefused,
    ProductReleased,
    ProductReserved,
    ProductShipped,
    ReleaseStarted,
    ReleaseStock,
    ReservationStarted,
    ReservationVoided,
    ShipmentStarted,
    ShipStock,
    StockAnswered,
)
from services.inventory.reservation import Reservation, reservation_decider

ANN = Contact(email="ann@example.org")
ITEMS = (
    Item(product_id="cup", quantity=2, unit_price=255),
    Item(product_id="pot", quantity=1, unit_price=1295),
    Item(product_id="cup", quantity=3, unit_price=199),
)
CREATED = OrderCreated(order_id="o1", user_id="ann", items=ITEMS, total_amount=2402, contact=ANN)
FAILED = OrderFailed(order_id="o1", user_id="ann", stage="PAYMENT", reason="declined")
CANCELLED = OrderCancelled(order_id="o1", user_id="ann")
COMPLETED = OrderCompleted(order_id="o1", user_id="ann")
STARTED = ReservationStarted(order_id="o1", user_id="ann", items=ITEMS, contact=ANN)
CUP_RESERVED = ProductReserved(order_id="o1", product_id="cup", quantity=5)
POT_RESERVED = ProductReserved(order_id="o1", product_id="pot", quantity=1)
POT_REFUSED = ProductRefused(order_id="o1", product_id="pot", quantity=1, available_qty=0)
CUP_RELEASED = ProductReleased(order_id="o1", product_id="cup", quantity=5)
POT_RELEASED = ProductReleased(order_id="o1", product_id="pot", quantity=0)
CUP_SHIPPED = ProductShipped(order_id="o1", product_id="cup", quantity=5)
POT_SHIPPED = ProductShipped(order_id="o1", product_id="pot", quantity=1)
ALL_RESERVED = InventoryReserved(order_id="o1", user_id="ann", items=ITEMS)
POT_SHORT = InventoryFailed(
    order_id="o1",
    user_id="ann",
    product_id="pot",
    quantity=1,
    available_qty=0,
    reason="Insufficient inventory",
    items=ITEMS,
    contact=ANN,
)
RELEASING = ReleaseStarted(order_id="o1")
RELEASED = InventoryReleased(order_id="o1")
SHIPPING = ShipmentStarted(order_id="o1")
SHIPPED = InventoryShipped(order_id="o1")
VOIDED = ReservationVoided(order_id="o1")
RELEASE_ALL = (ReleaseStock(product_id="cup", order_id="o1"), ReleaseStock(product_id="pot", order_id="o1"))
SHIP_ALL = (ShipStock(product_id="cup", order_id="o1"), ShipStock(product_id="pot", order_id="o1"))
HISTORIES: dict[str, tuple[Event, ...]] = {
    "NEW": (),
    "VOIDED": (VOIDED,),
    "RESERVING": (STARTED,),
    "RESERVING, cup reserved": (STARTED, CUP_RESERVED),
    "RESERVED": (STARTED, CUP_RESERVED, POT_RESERVED, ALL_RESERVED),
    "RELEASING, short": (STARTED, CUP_RESERVED, POT_REFUSED, POT_SHORT, RELEASING),
    "RELEASING, settled": (STARTED, RELEASING),
    "RELEASED": (
        STARTED,
        CUP_RESERVED,
        POT_REFUSED,
        POT_SHORT,
        RELEASING,
        CUP_RELEASED,
        POT_RELEASED,
        RELEASED,
    ),
    "SHIPPING": (STARTED, CUP_RESERVED, POT_RESERVED, ALL_RESERVED, SHIPPING),
    "SHIPPED": (
        STARTED,
        CUP_RESERVED,
        POT_RESERVED,
        ALL_RESERVED,
        SHIPPING,
        CUP_SHIPPED,
        POT_SHIPPED,
        SHIPPED,
    ),
}


def an_order(history: str) -> Scenario[Reservation]:
    return given(reservation_decider(), *HISTORIES[history])


def answer(product_id: str, outcome: str, quantity: int, available_qty: int = 0) -> StockAnswered:
    return StockAnswered(
        order_id="o1", product_id=product_id, outcome=outcome, quantity=quantity, available_qty=available_qty
    )
