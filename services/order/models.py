"""What clients send: request bodies, and how a body that is wrong is told so, field by field."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from eventbus.http import Problem
from schemas.address import wrong_address
from schemas.money import parse_amount

MAX_ERRORS = 20
"""Errors one answer lists: enough to mend a body, too few to make an answer larger than its request."""

Price = Annotated[
    Decimal,
    BeforeValidator(parse_amount),
    WithJsonSchema({"type": "string", "examples": ["2.55"], "description": "Exact decimal, zero or more."}),
]


def _mailbox(text: str) -> str:
    if wrong := wrong_address(text):
        raise ValueError(wrong)
    return text


def _readable(text: str) -> str:
    if len(text) > 500 or not text.replace("\n", " ").isprintable():
        raise ValueError("must be at most 500 characters of readable text")
    return text


class Body(BaseModel):
    """A JSON object in camelCase without unknown fields. Nothing is converted: "3" and 3.0 are no integer."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)


class ItemBody(Body):
    """One line of an order. Without a ``unitPrice`` the price list says it."""

    product_id: str
    quantity: int
    unit_price: Price | None = None


class ContactBody(Body):
    """Where the customer wants to hear of the order."""

    email: Annotated[str, AfterValidator(_mailbox)] | None = None


class _Terms(Body):
    user_id: str
    currency: str | None = None
    payment_method: str = "tok_ok"
    contact: ContactBody | None = None


class OrderOfOne(_Terms):
    """An order of one product, in short."""

    product_id: str
    quantity: int
    unit_price: Price | None = None

    @property
    def lines(self) -> tuple[ItemBody, ...]:
        """The one line of the order."""
        return (
            ItemBody.model_construct(
                product_id=self.product_id, quantity=self.quantity, unit_price=self.unit_price
            ),
        )

    def path(self, field: str) -> str:
        """The name this body has for a field of the order."""
        return field.removeprefix("items[0].")


class OrderOfItems(_Terms):
    """An order of one or more lines."""

    items: tuple[ItemBody, ...] = Field(strict=False)

    @property
    def lines(self) -> tuple[ItemBody, ...]:
        """The lines as they came."""
        return self.items

    def path(self, field: str) -> str:
        """The name this body has for a field of the order."""
        return field


OrderBody = OrderOfOne | OrderOfItems


class CancelBody(Body):
    """Why the order is cancelled, if the customer says so."""

    reason: Annotated[str, AfterValidator(_readable)] | None = None


class CompleteBody(Body):
    """Nothing to say."""


B = TypeVar("B", bound=Body)


def parse_order(raw: bytes) -> OrderBody:
    """The order in a request body. Raises Problem: 400 if it is no JSON, 422 naming what is wrong."""
    data = parse_json(raw)
    if isinstance(data, dict) and "items" not in data and ("productId" in data or "quantity" in data):
        return validate(OrderOfOne, data)
    return validate(OrderOfItems, data)


def parse_optional(model: type[B], raw: bytes) -> B:
    """A body that may be left out. Raises Problem as :func:`parse_order`."""
    return validate(model, parse_json(raw) if raw.strip() else {})


def parse_json(raw: bytes) -> Any:
    """JSON with its decimals kept exact. NaN and Infinity pass, to be refused with their field's name."""
    try:
        return json.loads(raw.decode("utf-8-sig"), parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError) else "it cannot be read as JSON text"
        raise Problem(400, "Malformed JSON", f"The body is not JSON: {reason}.") from error


def validate(model: type[B], data: Any) -> B:
    """``data`` as ``model``; raises Problem 422."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False, include_input=False)[:MAX_ERRORS]
        raise invalid([(_path(e["loc"]), e["msg"].removeprefix("Value error, ")) for e in wrong]) from error


def invalid(errors: Sequence[tuple[str, str]]) -> Problem:
    """The answer to a request that was understood but is wrong: 422 with each error's field and message."""
    listed = [
        {"field": _printable(field), "message": _printable(text)} for field, text in errors[:MAX_ERRORS]
    ]
    first = listed[0]
    return Problem(422, "Invalid request", f"{first['field']}: {first['message']}", errors=listed)


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path or "body"


def _printable(text: str) -> str:
    return text[:300].encode("utf-8", "backslashreplace").decode()
