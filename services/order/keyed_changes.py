"""Cancel and complete with an ``Idempotency-Key``: each key is decided once, and its first answer is given again.

The first answer is what the log says: the event that answered the request, and the order as that event left it. So
all replicas give the same one, at any time, whatever happened to the order since.
"""

from __future__ import annotations

import json

from fastapi import Response

from eventbus import Bus, Decider, Position, RequestId
from eventbus.http import JsonResponse, Problem, key_reused
from schemas import CancelOrder, CancelRefused, CompleteOrder, CompleteRefused
from services.order.ids import change_id
from services.order.past import Replayed, replayed
from services.order.problems import ORDER_CANNOT_BE_CANCELLED, ORDER_CANNOT_BE_COMPLETED
from services.order.state import Order
from services.order.views import order_view

REFUSALS = (CancelRefused.name, CompleteRefused.name)


def request_of(scope: str, key: str, command: CancelOrder | CompleteOrder) -> RequestId:
    """What the id of the command says. ``scope`` names the caller."""
    asked = [command.reason] if isinstance(command, CancelOrder) else []
    return change_id(scope, command.order_id, command.name, key, *asked)


def first_answer(bus: Bus, decider: Decider[Order], order_id: str, request: RequestId) -> Replayed | None:
    """The first answer to the request; None if none is folded here. Raises Problem 422 if other was asked for."""
    answered = bus.first_answer(decider, order_id, request.request)
    if answered is None:
        return None
    if answered.fingerprint != request.fingerprint:
        raise key_reused("was used before with another request body")
    # The state is read before the timeline, so the rows are there.
    return replayed(bus, order_id, answered.version)


def response(answer: Replayed, sent: Position | None) -> Response:
    """The answer as it was given first. It is a replay unless the command ``sent`` for this request led to it."""
    headers = {} if sent is not None and answer.cause == str(sent) else {"Idempotent-Replay": "true"}
    if answer.type not in REFUSALS:
        return JsonResponse(order_view(answer.order), 202, {"ETag": f'"{answer.order.version}"', **headers})
    refusal = json.loads(answer.data)
    raise refused(answer.type == CancelRefused.name, refusal["status"], refusal["reason"], headers)


def refused(cancels: bool, status: str, reason: str, headers: dict[str, str] | None = None) -> Problem:
    """409: the order's status does not allow it."""
    kind = ORDER_CANNOT_BE_CANCELLED if cancels else ORDER_CANNOT_BE_COMPLETED
    return Problem(kind, reason, headers=headers, orderStatus=status, reason=reason)
