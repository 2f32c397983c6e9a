"""Invoices as they are in the data, dirt included, and what the system is asked to do with them. No network."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CURRENCY = "GBP"
NO_GOODS = {
    "POST", "DOT", "C2", "D", "M", "m", "S", "B", "PADS", "CRUK", "BANK CHARGES", "AMAZONFEE"
}  # fmt: skip
"""Stock codes of postage, discounts, fees and corrections by hand."""

MOST_ADJUSTED = 2_000_000_000


class BadData(Exception):
    """The file is not of this format; the message names the line."""


@dataclass(frozen=True)
class Line:
    """One line as it was: any whole quantity, the price a decimal string."""

    product: str
    quantity: int
    price: str


@dataclass(frozen=True)
class Invoice:
    """One invoice as it was: without a customer if there was none, with as many lines as there were."""

    number: str
    customer: str | None
    lines: tuple[Line, ...]

    def body(self, payment_method: str) -> bytes:
        """The order to POST. Nothing is cleaned: the system is to answer what it thinks of it."""
        items = [
            {"productId": one.product, "quantity": one.quantity, "unitPrice": one.price} for one in self.lines
        ]
        order = {
            "userId": self.customer,
            "items": items,
            "currency": CURRENCY,
            "paymentMethod": payment_method,
        }
        return json.dumps(order).encode()


def load(path: Path) -> list[Invoice]:
    """Every invoice of a ``.jsonl`` or ``.jsonl.gz`` file. Raises BadData, and OSError if it cannot be read."""
    unpack = gzip.open if path.suffix == ".gz" else open
    invoices = []
    with unpack(path, "rt", encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    invoices.append(parse(json.loads(line)))
                except (ValueError, KeyError, TypeError) as error:
                    raise BadData(
                        f"{path}, line {number}: not an invoice ({type(error).__name__}: {error})"
                    ) from error
    return invoices


def parse(record: dict[str, Any]) -> Invoice:
    """One record of the file; raises KeyError, TypeError or ValueError if it is none."""
    lines = tuple(
        Line(str(one["stockCode"]), int(one["quantity"]), str(one["unitPrice"])) for one in record["lines"]
    )
    return Invoice(str(record["invoiceNo"]), record["customerId"], lines)


def needed(invoices: Iterable[Invoice]) -> dict[str, int]:
    """What all invoices together take, by product: the sum of the positive quantities."""
    wanted: dict[str, int] = {}
    for invoice in invoices:
        for line in invoice.lines:
            if line.quantity > 0:
                wanted[line.product] = min(wanted.get(line.product, 0) + line.quantity, MOST_ADJUSTED)
    return wanted


def dirt(invoice: Invoice) -> list[str]:
    """What is odd about an invoice, in words; nothing for a clean one."""
    products = [line.product for line in invoice.lines]
    returned = invoice.number.startswith("C")
    odd = {
        "returns (numbers beginning with C)": returned,
        "no customer": invoice.customer is None,
        "quantities of zero or less elsewhere": not returned
        and any(line.quantity <= 0 for line in invoice.lines),
        "lines at price zero": any(not line.price.strip("0.") for line in invoice.lines),
        "codes that are no goods (POST, M, BANK CHARGES)": not NO_GOODS.isdisjoint(products),
        "the same product more than once": len(set(products)) < len(products),
    }
    return [name for name, is_so in odd.items() if is_so] or ["clean"]
