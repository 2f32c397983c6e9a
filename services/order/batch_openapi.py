"""What ``/openapi.json`` says about the batch: its lines, and the line that answers each."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Response

from eventbus.http import INVALID_REQUEST, NDJSON, idempotency_key_parameter, problem_responses
from services.order.openapi import ACCEPTED, order_schema
from services.order.rules import Limits

_ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "line": {"type": "integer", "minimum": 1, "description": "The number of the line."},
        "status": {"type": "integer", "description": "As `POST /orders` would answer it."},
        "order": {"type": "object", "description": "If it is 202: as `POST /orders` answers it at once."},
        "replayed": {"const": True, "description": "The order was placed before, with this key and body."},
        "problem": {"$ref": "#/components/schemas/Problem"},
        "retryAfter": {"type": "integer", "description": "Seconds after which the line may be sent again."},
    },
    "required": ["line", "status"],
}
_LINE = {"userId": "u1", "productId": "demo-widget", "quantity": 1, "idempotencyKey": "order-4711"}


def describe(limits: Limits) -> dict[str, Any]:
    """For the route, with the limits that are set."""
    line = order_schema(limits)
    for one in line["oneOf"]:
        one["properties"]["idempotencyKey"] = idempotency_key_parameter("")["schema"]
    return {
        "status_code": 200,
        "response_class": Response,
        "responses": {
            200: {
                "description": "A line for each line, in order, while the body still comes.",
                "content": _lines(_ANSWER, {"line": 1, "status": 202, "order": ACCEPTED}),
            },
            **problem_responses(INVALID_REQUEST),
        },
        "openapi_extra": {"requestBody": {"required": True, "content": _lines(line, _LINE)}},
    }


def _lines(schema: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    """NDJSON. OpenAPI 3.1 cannot say what a line of it is: 3.2 calls that ``itemSchema``."""
    text = {"description": "JSON texts, one a line; `x-itemSchema` describes one."}
    return {NDJSON: {"schema": text, "x-itemSchema": schema, "example": json.dumps(example) + "\n"}}
