"""What ``/openapi.json`` says about the routes. FastAPI cannot know it: the routes read their bodies themselves."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Response
from pydantic import BaseModel

from eventbus.http import (
    IDEMPOTENCY_KEY_REUSED,
    MALFORMED_JSON,
    TOO_MANY_STREAMS,
    UNAVAILABLE,
    ProblemType,
    Responses,
    header_parameter,
    idempotency_key_parameter,
    json_example,
    problem_responses,
)
from schemas.money import EXPONENTS
from services.order.bodies import CancelBody, CompleteBody, OrderOfItems, OrderOfOne
from services.order.positions import POSITION, VERSION
from services.order.problems import (
    NO_SUCH_PAST,
    ORDER_CANNOT_BE_CANCELLED,
    ORDER_CANNOT_BE_COMPLETED,
    ORDER_NOT_FOUND,
    TOO_MANY_ORDERS,
    UNKNOWN_POSITION,
)
from services.order.rules import Limits
from services.order.views import AcceptedView, OrderPage, OrderView, TimelineView


def _schema(model: type[BaseModel]) -> Any:
    schema = model.model_json_schema()
    return _inlined(schema, schema.pop("$defs", {}))


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    """``node`` with references replaced by what they name: they would point nowhere in a larger document."""
    if isinstance(node, list):
        return [_inlined(one, definitions) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(definitions[node["$ref"].rsplit("/", 1)[1]], definitions)
    return {name: _inlined(value, definitions) for name, value in node.items()}


def _body(examples: dict[str, Any], *models: type[BaseModel], required: bool = False) -> dict[str, Any]:
    schemas = [_schema(model) for model in models]
    content = {"schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas}, "examples": examples}
    return {"requestBody": {"required": required, "content": {"application/json": content}}}


def _limited(node: Any, limits: Limits) -> Any:
    """``node`` with the limits that are settings, wherever their fields stand."""
    if isinstance(node, list):
        return [_limited(one, limits) for one in node]
    if not isinstance(node, dict):
        return node
    found = {name: _limited(value, limits) for name, value in node.items()}
    if isinstance(fields := found.get("properties"), dict):
        if "quantity" in fields:
            fields["quantity"] |= {"minimum": 1, "maximum": limits.quantity}
        if "items" in fields:
            fields["items"] |= {"minItems": 1, "maxItems": limits.items}
    return found


def _priced(body: dict[str, Any], default_currency: str) -> dict[str, Any]:
    """A body of orders whose prices have no more decimals than their currency has."""
    rules: list[dict[str, Any]] = []
    for exponent in sorted(set(EXPONENTS.values())):
        codes: list[Any] = sorted(code for code, decimals in EXPONENTS.items() if decimals == exponent)
        rule: dict[str, Any] = {"properties": {"currency": {"enum": codes}}}
        if default_currency in codes:
            codes.append(None)  # and where none is named
        else:
            rule["required"] = ["currency"]
        rules.append({"if": rule, "then": _price(exponent)})
    for schema in body["requestBody"]["content"]["application/json"]["schema"]["oneOf"]:
        schema["allOf"] = rules
    return body


def _price(exponent: int) -> dict[str, Any]:
    decimals = rf"[0-9]{{1,{exponent}}}0*" if exponent else "0+"
    line = {"properties": {"unitPrice": {"pattern": rf"^[0-9]+(?:\.{decimals})?$"}}}
    return {**line, "properties": {**line["properties"], "items": {"items": line}}}


_ORDER_ID = "5013e32a-78d8-583b-9096-bc5c8a2a3005"
_TIME = "2026-11-28T09:00:00.000Z"
ACCEPTED = {
    "orderId": _ORDER_ID,
    "userId": "u1",
    "status": "CREATED",
    "payment": "PENDING",
    "inventory": "PENDING",
    "currency": "GBP",
    "totalAmount": "5.10",
}
_CONFIRMED = {
    "orderId": _ORDER_ID,
    "userId": "u1",
    "items": [{"productId": "demo-widget", "quantity": 2, "unitPrice": "2.55"}],
    "currency": "GBP",
    "totalAmount": "5.10",
    "status": "CONFIRMED",
    "payment": "PAID",
    "inventory": "RESERVED",
    "failure": None,
    "version": 4,
    "createdAt": _TIME,
    "updatedAt": _TIME,
    "deadlineAt": "2026-11-28T09:15:00.000Z",
}
_PAID = {
    "version": 2,
    "type": "OrderPaid",
    "time": _TIME,
    "cause": "payment.events-3-17",
    "topic": "order.events",
    "partition": 3,
    "offset": 42,
    "data": {"orderId": _ORDER_ID, "amount": "5.10", "currency": "GBP", "timestamp": _TIME},
}
_ORDERS = {
    "items": {
        "summary": "Items with their prices, and where the customer is notified",
        "value": {
            "userId": "u1",
            "items": [{"productId": "demo-widget", "quantity": 2, "unitPrice": "2.55"}],
            "currency": "GBP",
            "contact": {"email": "ada@example.org"},
        },
    },
    "short": {
        "summary": "One product, at its price in the price list",
        "value": {"userId": "u1", "productId": "demo-widget", "quantity": 1},
    },
}


def order_schema(limits: Limits) -> dict[str, Any]:
    """JSON Schema of an order as it is posted, with the limits that are set."""
    schema: dict[str, Any] = _limited({"oneOf": [_schema(OrderOfItems), _schema(OrderOfOne)]}, limits)
    return schema


def create(limits: Limits, default_currency: str) -> dict[str, Any]:
    """How orders are taken in, with the limits that are set."""
    body = _limited(_body(_ORDERS, OrderOfItems, OrderOfOne, required=True), limits)
    return {
        "status_code": 202,
        "responses": {
            202: {
                "model": AcceptedView | OrderView,
                "description": "The order is durable; if it was waited for and has settled, as it stands.",
                "content": {
                    "application/json": {
                        "examples": {
                            "accepted": {"summary": "At once", "value": ACCEPTED},
                            "settled": {"summary": "After `Prefer: wait=5`", "value": _CONFIRMED},
                        }
                    }
                },
            },
            **problem_responses(MALFORMED_JSON, IDEMPOTENCY_KEY_REUSED, TOO_MANY_ORDERS, UNAVAILABLE),
        },
        "openapi_extra": {
            **_priced(body, default_currency),
            "parameters": [
                idempotency_key_parameter(
                    "The same key and body give the same order, however often they are sent."
                ),
                header_parameter(
                    "Prefer", "`wait=5`: up to 5 seconds for the order to settle.", examples=["wait=5"]
                ),
            ],
        },
    }


SHOW: dict[str, Any] = {
    "responses": {
        200: {"model": OrderView, **json_example(_CONFIRMED, "The order.")},
        304: {"description": "The version named by If-None-Match is the one that would be shown."},
        **problem_responses(ORDER_NOT_FOUND, NO_SUCH_PAST, UNAVAILABLE),
    },
    "openapi_extra": {
        "parameters": [header_parameter("If-None-Match", "The ETag of the version known already.")]
    },
}
EVENTS: dict[str, Any] = {
    "responses": {
        200: {
            "model": TimelineView,
            **json_example({"orderId": _ORDER_ID, "events": [_PAID], "next": "2"}, "A page of events."),
        },
        **problem_responses(ORDER_NOT_FOUND, UNAVAILABLE),
    }
}

_POSITION = "17.0.204.31.8.90"
LIST: dict[str, Any] = {
    "summary": "Orders, newest first",
    "responses": {
        200: {
            "model": OrderPage,
            **json_example(
                {"orders": [_CONFIRMED], "next": "0sEwfls0NSwibzEiXQ", "position": _POSITION},
                "A page of orders.",
            ),
        },
        **problem_responses(UNAVAILABLE),
    },
}


def _stream(position: str, example: str) -> dict[str, Any]:
    sent = {"id": example, "event": "OrderPaid", "data": json.dumps(_PAID)}
    schema = {
        "type": "object",
        "description": "One event, its fields by their names.",
        "properties": {name: {"type": "string"} for name in sent},
        "required": list(sent),
    }
    return {
        "response_class": Response,
        "responses": {
            200: {
                "description": "Server-Sent Events: `event` is the type, `data` as in the timeline, `id` a position.",
                "content": {"text/event-stream": {"schema": schema, "example": sent}},
            },
            **problem_responses(UNKNOWN_POSITION, ORDER_NOT_FOUND, UNAVAILABLE, TOO_MANY_STREAMS),
        },
        "openapi_extra": {
            "parameters": [
                header_parameter(
                    "Last-Event-ID",
                    "The `id` that came last: what follows it is sent.",
                    pattern=position,
                    examples=[example],
                )
            ]
        },
    }


ORDER_STREAM = _stream(VERSION, "2")
USER_STREAM = _stream(POSITION, _POSITION)
_KEY = {
    "parameters": [
        idempotency_key_parameter(
            "The same key and body get the first answer again, whatever happened to the order since."
        )
    ]
}


def _change(after: dict[str, Any], *refusals: ProblemType) -> Responses:
    return {
        202: {"model": OrderView, **json_example(after, "Done, now or before.")},
        **problem_responses(MALFORMED_JSON, ORDER_NOT_FOUND, *refusals, UNAVAILABLE),
    }


CANCEL: dict[str, Any] = {
    "status_code": 202,
    "responses": _change(
        _CONFIRMED | {"status": "CANCELLED", "version": 5}, ORDER_CANNOT_BE_CANCELLED, IDEMPOTENCY_KEY_REUSED
    ),
    "openapi_extra": {**_body({"reason": {"value": {"reason": "ordered twice"}}}, CancelBody), **_KEY},
}
COMPLETE: dict[str, Any] = {
    "status_code": 202,
    "responses": _change(_CONFIRMED | {"status": "COMPLETED", "version": 5}, ORDER_CANNOT_BE_COMPLETED),
    "openapi_extra": {**_body({"nothing": {"value": {}}}, CompleteBody), **_KEY},
}
