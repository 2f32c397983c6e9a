"""Money: decimal amounts to and from whole minor units of a currency ("2.55" GBP is 255 pence), exactly.

It is beside the contracts, since every service must read their amounts in the same way.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

_BY_EXPONENT = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP
        BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD
        FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD
        KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD
        NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP
        SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED
        VES WST XCD XCG YER ZAR ZMW ZWG""",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
EXPONENTS: dict[str, int] = {
    code: exponent for exponent, codes in _BY_EXPONENT.items() for code in codes.split()
}
"""Decimals of each currency that has minor units (ISO 4217, list one)."""

NO_CURRENCY = ""
"""What stands in place of a currency where no price is known. An amount beside it is 0, which does not mean free."""

MAX_AMOUNT = 2**53 - 1
"""The largest value of an order in minor units: every JSON reader, the payment gateway's included, keeps it exact."""

_DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
_TOO_LARGE = 18


class InvalidAmount(ValueError):
    """The amount cannot be one of this currency; the message is a predicate for the field's name."""


def parse_amount(value: object) -> Decimal:
    """The exact decimal in a JSON string or number, zero or more. Raises InvalidAmount."""
    if isinstance(value, str):
        if value.strip().lower().lstrip("+-") in ("nan", "inf", "infinity"):
            raise InvalidAmount("must be a finite amount")
        if not _DECIMAL.fullmatch(value):
            raise InvalidAmount('must be a decimal such as "2.55"')
        amount = Decimal(value)
    elif isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise InvalidAmount('must be a decimal string such as "2.55"')
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidAmount("must be a finite amount")
    else:
        amount = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not amount.is_finite():
        raise InvalidAmount("must be a finite amount")
    if amount < 0:
        raise InvalidAmount("must not be negative")
    if amount and amount.adjusted() >= _TOO_LARGE:
        raise InvalidAmount("is too large")
    return amount


def minor_units(amount: Decimal, currency: str) -> int:
    """``amount`` (finite, zero or more) in minor units.

    Raises InvalidAmount for more decimals than the currency has, and KeyError for an unknown currency.
    """
    exponent = EXPONENTS[currency]
    if not amount:
        return 0
    _, digits, power = amount.as_tuple()
    shift = int(power) + exponent
    if shift >= 0:
        return _whole(digits + (0,) * shift)
    if any(digits[shift:]):
        raise InvalidAmount(f"has too many decimals: {currency} has {exponent}")
    return _whole(digits[:shift])


def _whole(digits: tuple[int, ...]) -> int:
    return int("".join(map(str, digits)))


def decimal_text(amount: int, currency: str) -> str:
    """Minor units as a decimal string: 510 GBP is "5.10". KeyError for an unknown currency."""
    exponent = EXPONENTS[currency]
    if exponent == 0:
        return str(amount)
    whole, fraction = divmod(abs(amount), 10**exponent)
    return f"{'-' if amount < 0 else ''}{whole}.{fraction:0{exponent}d}"


def money_text(amount: int, currency: str) -> str:
    """For people: 510 GBP is "5.10 GBP", 1000 RWF is "1000 RWF". An unknown currency is shown in minor units."""
    if currency not in EXPONENTS:
        return f"{amount} minor units of {currency[:20]!r}"
    return f"{decimal_text(amount, currency)} {currency}"
