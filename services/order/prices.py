"""Price lists: the price of an item when its order names none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from schemas.money import EXPONENTS


class PriceList(Protocol):
    """Gives the prices. A request waits for the answer, so it answers from memory."""

    def unit_price(self, product_id: str, currency: str) -> int | None:
        """Price of one in minor units of ``currency``; None if the list has no price for it."""
        ...


@dataclass(frozen=True, slots=True)
class OnePrice:
    """Every product costs 1 unit of one currency (GBP 1.00); there are no prices in other currencies."""

    currency: str

    def unit_price(self, product_id: str, currency: str) -> int | None:
        """10 to the power of the currency's decimals, whatever the product."""
        return int(10 ** EXPONENTS[currency]) if currency == self.currency else None
