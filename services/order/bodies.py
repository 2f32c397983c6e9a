"""What clients send: request bodies, and the errors of a wrong body, field by field."""

from __future__ import annotations

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

from eventbus.http import (
    LINES,
    MAX_ERRORS,
    MAX_VALUES,
    ONE_LINE,
    SlicedWork,
    invalid,
    parse_json,
    validated,
    validation_errors,
)
from schemas.address import ADDRESS, MAX_ADDRESS, wrong_address
from schemas.language import LANGUAGE, MAX_LANGUAGE, wrong_language
from schemas.money import EXPONENTS, parse_amount
from services.order.rules import MAX_TEXT, Limits

MAX_VALUES_OF_A_CHANGE = 1_000
"""Of the body of a cancellation or a completion, which has one text at most."""
BREAK_EVERY = 50
"""Items of an order after which other requests may use the event loop."""

Errors = list[tuple[str, str]]

Price = Annotated[
    Decimal,
    BeforeValidator(parse_amount),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^[0-9]{1,18}(?:\.[0-9]{1,18})?$",
            "examples": ["2.55"],
            "description": "Exact decimal, zero or more, with no more decimals than the currency has.",
        }
    ),
]
Text = Annotated[
    str, WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_TEXT, "pattern": ONE_LINE})
]
"""A text. The rules of an order check it."""
Currency = Annotated[
    str, WithJsonSchema({"type": "string", "enum": sorted(EXPONENTS), "description": "ISO 4217."})
]
Email = Annotated[
    str,
    AfterValidator(lambda text: _unless_wrong(text, wrong_address(text))),
    WithJsonSchema({"type": "string", "maxLength": MAX_ADDRESS, "pattern": f"^{ADDRESS}$"}),
]
Language = Annotated[
    str,
    AfterValidator(lambda text: _unless_wrong(text, wrong_language(text))),
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": MAX_LANGUAGE,
            "pattern": f"^{LANGUAGE}$",
            "examples": ["de"],
            "description": "BCP 47. Messages are written in it, if there are texts in it.",
        }
    ),
]


def _unless_wrong(text: str, wrong: str | None) -> str:
    if wrong:
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
    """One line of an order. Without a ``unitPrice`` the price list gives it."""

    product_id: Text
    quantity: int
    unit_price: Price | None = None


class ContactBody(Body):
    """Where the customer is notified about the order."""

    email: Email | None = None
    language: Language | None = None


class _Terms(Body):
    user_id: Text
    currency: Currency | None = None
    payment_method: Text = "tok_ok"
    contact: ContactBody | None = None


class OrderOfOne(_Terms):
    """An order of one product, in a short form."""

    product_id: Text
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

    reason: (
        Annotated[
            str,
            AfterValidator(_readable),
            WithJsonSchema({"type": "string", "maxLength": 500, "pattern": LINES}),
        ]
        | None
    ) = None


class CompleteBody(Body):
    """An empty object."""


B = TypeVar("B", bound=Body)


def parse_order(raw: bytes, limits: Limits) -> SlicedWork[OrderBody]:
    """The order in a request body. Raises Problem: 400 if it is no JSON, 422 naming what is wrong."""
    data = parse_json(raw, values_of(limits))
    yield
    return (yield from checked_order(data, limits))


def values_of(limits: Limits) -> int:
    """The most values that the JSON of an order may hold."""
    # One item has eight of the marks that are counted. The others may stand in texts.
    return max(MAX_VALUES, 25 * limits.items)


def checked_order(data: Any, limits: Limits) -> SlicedWork[OrderBody]:
    """The order that ``data`` is. Raises Problem 422 naming what is wrong.

    The number of items is checked before any item. Checking stops when enough errors are found.
    """
    if not isinstance(data, dict):
        raise invalid([("body", "must be an object")])
    if "items" not in data and ("productId" in data or "quantity" in data):
        return validated(OrderOfOne, data)
    terms = {name: value for name, value in data.items() if name != "items"}
    items, errors = yield from _parse_items(data, limits)
    try:
        order = OrderOfItems.model_validate({**terms, "items": items})
    except ValidationError as error:
        errors = validation_errors(error) + errors
    if errors:
        raise invalid(errors)
    return order


def _parse_items(data: dict[str, Any], limits: Limits) -> SlicedWork[tuple[tuple[ItemBody, ...], Errors]]:
    if "items" not in data:
        return (), [("items", "is needed, or productId and quantity")]
    lines = data["items"]
    if not isinstance(lines, list):
        return (), [("items", "must be a list")]
    if len(lines) > limits.items:
        return (), [("items", f"an order has at most {limits.items} items, got {len(lines)}")]
    items: list[ItemBody] = []
    errors: Errors = []
    for index, line in enumerate(lines):
        try:
            items.append(ItemBody.model_validate(line))
        except ValidationError as error:
            errors += validation_errors(error, ("items", index))
        if len(errors) >= MAX_ERRORS:
            break
        if index % BREAK_EVERY == 0:
            yield
    return tuple(items), errors


def parse_optional(model: type[B], raw: bytes) -> B:
    """A body that may be left out. Raises Problem as :func:`parse_order`."""
    return validated(model, parse_json(raw, MAX_VALUES_OF_A_CHANGE) if raw else {})
