"""How the simulator decides a charge, as pure functions.

paymentMethod     result
tok_ok            SUCCEEDED
tok_declined      DECLINED
tok_flaky         the order's first two attempts FAILED, then SUCCEEDED
tok_timeout       SUCCEEDED, but the first answer never comes (see ``app``)
tok_unavailable   is never recorded (see ``app``)
anything else     SUCCEEDED or DECLINED by the hash of the order id, so that a repeat gets the same answer
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import NamedTuple

FLAKY_FAILURES = 2


class Token(StrEnum):
    """The payment methods that force a result."""

    OK = "tok_ok"
    DECLINED = "tok_declined"
    FLAKY = "tok_flaky"
    TIMEOUT = "tok_timeout"
    UNAVAILABLE = "tok_unavailable"


class Result(StrEnum):
    """How an attempt ended. Under a key that FAILED or was VOIDED nothing was moved, nor ever will be."""

    SUCCEEDED = "SUCCEEDED"
    DECLINED = "DECLINED"
    FAILED = "FAILED"
    VOIDED = "VOIDED"


class Decision(NamedTuple):
    """A result, and the reason if it is not SUCCEEDED."""

    result: Result
    reason: str | None = None


def decide_charge(payment_method: str, order_id: str, earlier_failures: int, success_rate: float) -> Decision:
    """The result of a charge. ``earlier_failures`` counts the order's FAILED charges on record."""
    match payment_method:
        case Token.FLAKY if earlier_failures < FLAKY_FAILURES:
            return Decision(Result.FAILED, "the card network did not answer")
        case Token.OK | Token.FLAKY | Token.TIMEOUT:
            return Decision(Result.SUCCEEDED)
        case Token.DECLINED:
            return Decision(Result.DECLINED, "card declined")
    if share(order_id) < success_rate:
        return Decision(Result.SUCCEEDED)
    return Decision(Result.DECLINED, "insufficient funds")


def share(order_id: str) -> float:
    """A number in [0, 1) that depends only on the order id; the numbers of many orders are spread evenly."""
    return int.from_bytes(hashlib.sha256(order_id.encode()).digest()[:8], "big") / 2**64
