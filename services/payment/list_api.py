"""``GET /payments``: the payments of all partitions, newest first, in pages, from any replica. Made for support."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel

from eventbus import Bus, Entry, Place, Reactor
from eventbus.http import (
    CURSOR,
    ONE_LINE,
    UNAVAILABLE,
    Responses,
    json_example,
    page_of,
    place_of,
    problem_responses,
    require_fresh,
    require_known,
)
from services.payment.decider import Payment, Status
from services.payment.views import EXAMPLE, PaymentView, payment_view

MAX_PAGE = 100
PARAMETERS = ("orderId", "userId", "status", "limit", "cursor")
PAGE: Responses = {
    200: json_example({"payments": [EXAMPLE], "next": "0sEwfls0NSwibzEiXQ"}),
    **problem_responses(UNAVAILABLE),
}

OrderId = Annotated[
    str | None,
    Query(
        alias="orderId",
        description="Only the payment of this order.",
        min_length=1,
        max_length=100,
        json_schema_extra={"pattern": ONE_LINE},
    ),
]
UserId = Annotated[
    str | None,
    Query(
        alias="userId",
        description="Only payments of this customer. Of a payment that was voided before any charge none is known.",
        min_length=1,
        max_length=100,
        json_schema_extra={"pattern": ONE_LINE},
    ),
]
StatusName = Annotated[Status | None, Query(alias="status", description="Only payments of this status.")]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Payments on the page at most.")]
Cursor = Annotated[
    str | None,
    Query(
        description="`next` of the page before, with the same filters. Without it: the first page.",
        pattern=CURSOR,
    ),
]


class PaymentPage(BaseModel):
    """Payments, the newest first. ``next`` is the ``cursor`` of the page after this one, null on the last."""

    payments: list[PaymentView]
    next: str | None


@dataclass(frozen=True)
class PaymentLists:
    """The route. It reads this replica's list of payments."""

    bus: Bus
    reactor: Reactor[Payment]

    def mount(self, app: FastAPI) -> None:
        """Add the route to ``app``."""
        app.add_api_route(
            "/payments", self.page, methods=["GET"], summary="Payments, newest first", responses=PAGE
        )

    async def page(
        self,
        request: Request,
        order_id: OrderId = None,
        user_id: UserId = None,
        status: StatusName = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> PaymentPage:
        """Payments, the newest first: all that payment has recorded by now.

        A payment that matches all the time is shown once on the pages from the first to the last, and none is shown
        twice, whatever comes and changes meanwhile, and whichever replicas answer.
        """
        require_known(request, PARAMETERS)
        require_fresh(self.bus)
        wanted = {"user_id": user_id, "status": status and status.value}
        chosen = {name: value for name, value in wanted.items() if value is not None}
        of_cursor = chosen | ({} if order_id is None else {"order_id": order_id})
        behind = None if cursor is None else place_of(cursor, of_cursor)
        await self.bus.all_folded(self.reactor.log)
        if order_id is not None:
            found = self._one(order_id, chosen, behind)
        else:
            found = self.bus.page(self.reactor, chosen, behind=behind, limit=limit + 1)
        entries, following = page_of(found, of_cursor, limit)
        return PaymentPage(payments=[payment_view(entry) for entry in entries], next=following)

    def _one(
        self, order_id: str, chosen: dict[str, str], behind: Place | None
    ) -> Iterator[tuple[Place, Entry[Payment]]]:
        """The payment of an order, if it is chosen. It fits on a page, so no cursor leads behind it."""
        entry = self.bus.read(self.reactor, order_id)
        if entry is None or behind is not None:
            return
        stands = {"user_id": entry.state.user_id, "status": entry.state.status.value}
        if stands.items() >= chosen.items():
            yield Place(entry.state.created_at, order_id), entry
