"""What ``/openapi.json`` says about the routes. FastAPI cannot know it: the routes read their bodies themselves."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from pydantic import BaseModel

from eventbus.http import NDJSON, Responses, header_parameter, idempotency_key_parameter, problem_responses
from eventbus.http.openapi import KEY
from services.order.bodies import CancelBody, CompleteBody, OrderOfItems, OrderOfOne
from services.order.rules import Limits
from services.order.views import AcceptedView, OrderView, TimelineView


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


def _body(*models: type[BaseModel], required: bool = False) -> dict[str, Any]:
    schemas = [_schema(model) for model in models]
    content = {"application/json": {"schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas}}}
    return {"requestBody": {"required": required, "content": content}}


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


_UNKNOWN = "There is no such order."
_NO_JSON = "The body is not JSON."
_AWAY = "Kafka is away, or the answer is not known in time; repeating is safe."


def create(limits: Limits) -> dict[str, Any]:
    """How orders are taken in, with the limits that are set."""
    return {
        "status_code": 202,
        "responses": {
            202: {"model": AcceptedView | OrderView, "description": "The order is durable."},
            **problem_responses(
                {
                    400: _NO_JSON,
                    422: "Fields are wrong, or the key was used before.",
                    429: "Too many orders are open; Retry-After says when to ask again.",
                    503: _AWAY,
                }
            ),
        },
        "openapi_extra": {
            **_limited(_body(OrderOfItems, OrderOfOne, required=True), limits),
            "parameters": [
                idempotency_key_parameter(
                    "The same key and body give the same order, however often they are sent."
                ),
                header_parameter("Prefer", "`wait=5`: up to 5 seconds for the order to settle."),
            ],
        },
    }


def batch(limits: Limits) -> dict[str, Any]:
    """How many orders are taken in with one call."""
    line = _limited({"oneOf": [_schema(model) for model in (OrderOfItems, OrderOfOne)]}, limits)
    for one in line["oneOf"]:
        one["properties"]["idempotencyKey"] = {
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            "pattern": KEY,
        }
    answer = {
        "type": "object",
        "properties": {
            "line": {"type": "integer", "description": "The number of the line, from 1."},
            "status": {"type": "integer", "description": "As POST /orders would answer it."},
            "order": {"description": "If it is 202: as POST /orders answers it."},
            "replayed": {"const": True, "description": "The order was placed before with this key and body."},
            "problem": {"$ref": "#/components/schemas/Problem"},
            "retryAfter": {
                "type": "integer",
                "description": "Seconds after which the line may be sent again.",
            },
        },
        "required": ["line", "status"],
    }

    def lines(of: dict[str, Any], example: str) -> dict[str, Any]:
        schema = {"type": "string", "contentMediaType": "application/json", "contentSchema": of}
        return {NDJSON: {"schema": schema, "example": example}}

    order = '{"userId":"u1","productId":"demo-widget","quantity":1}\n'
    return {
        "status_code": 200,
        "response_class": Response,
        "responses": {
            200: {
                "description": "A line for each line, in order.",
                "content": lines(answer, '{"line":1,"status":202,"order":{"orderId":"…"}}\n'),
            },
            **problem_responses({422: "The header Idempotency-Key is there: a key belongs to a line."}),
        },
        "openapi_extra": {"requestBody": {"required": True, "content": lines(line, order)}},
    }


SHOW: dict[str, Any] = {
    "responses": {
        200: {"model": OrderView},
        304: {"description": "The version named by If-None-Match is still the latest."},
        **problem_responses({404: _UNKNOWN, 503: _AWAY}),
    },
    "openapi_extra": {
        "parameters": [header_parameter("If-None-Match", "The ETag of the version known already.")]
    },
}
EVENTS: dict[str, Any] = {
    "responses": {200: {"model": TimelineView}, **problem_responses({404: _UNKNOWN, 503: _AWAY})}
}
_CHANGE: Responses = {
    202: {"model": OrderView, "description": "Done, now or before."},
    **problem_responses(
        {
            400: _NO_JSON,
            404: _UNKNOWN,
            409: "The order's status does not allow it.",
            422: "Fields are wrong, or the key was used before.",
            503: _AWAY,
        }
    ),
}
_KEY = {
    "parameters": [
        idempotency_key_parameter(
            "The same key and body get the first answer again, whatever happened to the order since."
        )
    ]
}
CANCEL: dict[str, Any] = {
    "status_code": 202,
    "responses": _CHANGE,
    "openapi_extra": {**_body(CancelBody), **_KEY},
}
COMPLETE: dict[str, Any] = {
    "status_code": 202,
    "responses": _CHANGE,
    "openapi_extra": {**_body(CompleteBody), **_KEY},
}
