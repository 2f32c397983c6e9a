"""``GET /orders``: the orders of all partitions, newest first, in pages, from any replica."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import FastAPI, Query, Request, Response

from eventbus import Bus, Decider
from eventbus.http import (
    CURSOR,
    INSTANT,
    ONE_LINE,
    JsonResponse,
    caller,
    instant,
    page_of,
    place_of,
    require_fresh,
    require_known,
)
from schemas import CreateOrder, OrderCreated
from services.order import openapi
from services.order.positions import positions_text
from services.order.rules import MAX_TEXT
from services.order.state import Order, Payment
from services.order.views import order_view

MAX_PAGE = 100
MAX_LINES = 4_000
"""Lines of all orders on a page: those of two orders of the largest kind. More would delay other requests."""
PARAMETERS = ("userId", "status", "payment", "createdAfter", "limit", "cursor")
UserId = Annotated[
    str | None,
    Query(
        alias="userId",
        description="Only orders of this customer.",
        min_length=1,
        max_length=MAX_TEXT,
        json_schema_extra={"pattern": ONE_LINE},
    ),
]
StatusName = Annotated[
    Literal["CREATED", "PROCESSING", "CONFIRMED", "COMPLETED", "FAILED", "CANCELLED"] | None,
    Query(alias="status", description="Only orders of this status."),
]
PaymentName = Annotated[
    Payment | None, Query(alias="payment", description="Only orders whose payment stands so.")
]
CreatedAfter = Annotated[
    str | None,
    Query(
        alias="createdAfter",
        description="Only orders created after this instant (RFC 3339).",
        pattern=INSTANT,
    ),
]
Limit = Annotated[
    int, Query(ge=1, le=MAX_PAGE, description="Orders on the page at most. Large orders make it shorter.")
]
Cursor = Annotated[
    str | None,
    Query(
        description="`next` of the page before, with the same filters. Without it: the first page.",
        pattern=CURSOR,
    ),
]


@dataclass(frozen=True)
class OrderLists:
    """The route. It reads this replica's list of orders."""

    bus: Bus
    decider: Decider[Order]

    def mount(self, app: FastAPI) -> None:
        """Add the route to ``app``."""
        app.add_api_route("/orders", self.page, methods=["GET"], **openapi.LIST)

    async def page(
        self,
        request: Request,
        user_id: UserId = None,
        status: StatusName = None,
        payment: PaymentName = None,
        created_after: CreatedAfter = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Response:
        """Orders, the newest first, each as `GET /orders/{orderId}` shows it now.

        The first page holds every order that was accepted before the request. On the pages from there to the last,
        every order of the first moment that matches all the time is shown once, and none is shown twice, whatever
        arrives and changes meanwhile, and whichever replicas answer. `position` is where a stream of a user's orders
        goes on from this page (`lastEventId` of `GET /orders/stream`), at any replica.
        """
        require_known(request, PARAMETERS)
        require_fresh(self.bus)
        since = None if created_after is None else instant("createdAfter", created_after)
        who = caller(request)
        wanted = {"user_id": user_id or who.user_id, "status": status, "payment": payment and payment.value}
        chosen = {name: value for name, value in wanted.items() if value is not None}
        of_cursor = chosen | ({} if since is None else {"created_after": str(since)})
        behind = None if cursor is None else place_of(cursor, of_cursor)
        await self.bus.all_caught_up(CreateOrder.topic)
        # Read before the page: what comes in between is on the page and in the stream that follows it.
        position = positions_text(self.bus.folded_up_to(OrderCreated.topic))
        if not who.acts_for(chosen.get("user_id", "")):
            return JsonResponse(
                {"orders": [], "next": None, "position": position}
            )  # as if the orders of others did not exist
        found = self.bus.page(self.decider, chosen, behind=behind, since=since, limit=limit + 1)
        entries, following = page_of(
            found, of_cursor, limit, size=lambda entry: len(entry.state.items), most=MAX_LINES
        )
        orders = [order_view(entry, self.bus.held(entry.key)) for entry in entries]
        return JsonResponse({"orders": orders, "next": following, "position": position})
