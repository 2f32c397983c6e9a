"""Makes CreateOrder of a request body: fills in prices, checks the rules, computes the request's fingerprint."""

from __future__ import annotations

import hashlib
import json

from eventbus.http import MAX_ERRORS, SlicedWork, invalid
from schemas import Contact, CreateOrder, Item
from schemas.money import EXPONENTS, InvalidAmount, minor_units
from services.order.bodies import BREAK_EVERY, OrderBody
from services.order.prices import PriceList
from services.order.rules import Limits, broken_rule


def create_order(
    order_id: str, body: OrderBody, prices: PriceList, limits: Limits, default_currency: str
) -> SlicedWork[CreateOrder]:
    """The command that a request asks for. Raises Problem 422 naming the fields that are wrong."""
    currency = default_currency if body.currency is None else body.currency
    if currency not in EXPONENTS:
        raise invalid([("currency", f"unknown currency {currency!r}: expected an ISO 4217 code")])
    given = yield from _given_prices(body, currency)
    items = yield from _items(body, given, prices, currency)
    command = CreateOrder(
        order_id=order_id,
        user_id=body.user_id,
        items=items,
        currency=currency,
        payment_method=body.payment_method,
        contact=_contact(body),
        fingerprint=fingerprint(body, given),
    )
    yield
    if broken := broken_rule(command, limits):
        raise invalid([(body.path(broken.field), broken.reason)])
    return command


def fingerprint(body: OrderBody, given: list[int | None]) -> str:
    """SHA-256 (hex) of what the request asks for. Both kinds of body and any layout of JSON give the same.

    ``given``: the unit prices as sent, in minor units. Prices and currency that the request leaves out are left out
    here too, so a repeat is recognised even after the price list has changed.
    """
    lines = [(line.product_id, line.quantity, price) for line, price in zip(body.lines, given, strict=True)]
    contact = body.contact
    wanted = [body.user_id, lines, body.currency, body.payment_method, contact.email if contact else None]
    if contact and contact.language is not None:
        wanted.append(
            contact.language
        )  # without one, the fingerprint is that of releases that knew no language
    canonical = json.dumps(wanted)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _contact(body: OrderBody) -> Contact | None:
    contact = body.contact
    return None if contact is None else Contact(email=contact.email, language=contact.language)


def _given_prices(body: OrderBody, currency: str) -> SlicedWork[list[int | None]]:
    given: list[int | None] = []
    errors = []
    for index, line in enumerate(body.lines):
        price = None
        if line.unit_price is not None:
            try:
                price = minor_units(line.unit_price, currency)
            except InvalidAmount as error:
                errors.append((body.path(f"items[{index}].unitPrice"), str(error)))
        given.append(price)
        if len(errors) >= MAX_ERRORS:
            break
        if index % BREAK_EVERY == 0:
            yield
    if errors:
        raise invalid(errors)
    return given


def _items(
    body: OrderBody, given: list[int | None], prices: PriceList, currency: str
) -> SlicedWork[tuple[Item, ...]]:
    items = []
    for index, (line, price) in enumerate(zip(body.lines, given, strict=True)):
        if price is None:
            price = prices.unit_price(line.product_id, currency)
        if price is None:
            field = body.path(f"items[{index}].unitPrice")
            raise invalid([(field, f"is needed: the price list has no price in {currency}")])
        items.append(Item(product_id=line.product_id, quantity=line.quantity, unit_price=price))
        if index % BREAK_EVERY == 0:
            yield
    return tuple(items)
