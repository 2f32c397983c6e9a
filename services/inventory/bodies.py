"""What clients send: an adjustment. Quantities are pieces."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from eventbus.http import idempotency_key_parameter, parse_json, validated
from services.inventory.stock import MAX_PIECES

MAX_VALUES = 1_000
"""Of the body of an adjustment, which has two."""
NOT_ZERO: dict[str, Any] = {
    "type": "integer",
    "minimum": -MAX_PIECES,
    "maximum": MAX_PIECES,
    "not": {"const": 0},
}


def not_zero(quantity: int) -> int:
    if quantity == 0:
        raise ValueError("must not be zero")
    return quantity


class Adjustment(BaseModel):
    """Pieces that came (positive) or went (negative), and why."""

    model_config = ConfigDict(extra="forbid", strict=True)

    quantity: Annotated[
        int, Field(ge=-MAX_PIECES, le=MAX_PIECES), AfterValidator(not_zero), WithJsonSchema(NOT_ZERO)
    ]
    reason: Annotated[str, Field(min_length=1, max_length=200)]

    def fingerprint(self) -> str:
        """SHA-256 (hex) of what is asked for: tells a repeat from another request under the same key."""
        return hashlib.sha256(json.dumps([self.quantity, self.reason]).encode()).hexdigest()


ADJUSTMENT_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": Adjustment.model_json_schema(),
                "examples": {
                    "delivery": {"value": {"quantity": 50, "reason": "delivery"}},
                    "loss": {"value": {"quantity": -2, "reason": "broken in the store"}},
                },
            }
        },
    },
    "parameters": [
        idempotency_key_parameter(
            "An adjustment of a product happens once for each key, however often it is sent."
        )
    ],
}
"""For OpenAPI: the route reads its body and its headers itself."""


def parse_adjustment(raw: bytes) -> Adjustment:
    """The adjustment in a request body. Raises Problem: 400 if it is no JSON, 422 naming what is wrong."""
    return validated(Adjustment, parse_json(raw, MAX_VALUES))
