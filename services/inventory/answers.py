"""What the stock half answers to the order half about one product of an order."""

from __future__ import annotations

from enum import StrEnum


class Answer(StrEnum):
    """The outcomes of ``StockAnswered``."""

    RESERVED = "RESERVED"
    REFUSED = "REFUSED"
    RELEASED = "RELEASED"
    SHIPPED = "SHIPPED"
