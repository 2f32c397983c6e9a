"""Money is exact: decimals in, whole minor units inside, the same decimals out."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.money import EXPONENTS, InvalidAmount, decimal_text, minor_units, money_text, parse_amount

CURRENCIES = st.sampled_from(sorted(EXPONENTS))


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("2.55", "GBP", 255),
        ("2.5", "GBP", 250),
        ("2.550", "GBP", 255),
        ("0.07", "GBP", 7),
        ("1.15", "GBP", 115),
        ("0", "GBP", 0),
        ("0.00", "JPY", 0),
        ("100", "JPY", 100),
        ("1.234", "KWD", 1234),
        ("1.2345", "CLF", 12345),
    ],
)
def test_a_decimal_becomes_minor_units(text: str, currency: str, minor: int) -> None:
    assert minor_units(parse_amount(text), currency) == minor


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("-1", "must not be negative"),
        (-1, "must not be negative"),
        (Decimal("-0.01"), "must not be negative"),
        ("NaN", "must be a finite amount"),
        ("-Infinity", "must be a finite amount"),
        (float("nan"), "must be a finite amount"),
        (float("inf"), "must be a finite amount"),
        (Decimal("sNaN"), "must be a finite amount"),
        ("", "must be a decimal"),
        ("1e2", "must be a decimal"),
        ("1,5", "must be a decimal"),
        (" 1", "must be a decimal"),
        ("\u0661", "must be a decimal"),
        (True, "must be a decimal"),
        ([], "must be a decimal"),
        (Decimal("1e999999999"), "is too large"),
        (10**400, "is too large"),
    ],
)
def test_what_is_no_price_says_why(value: object, message: str) -> None:
    with pytest.raises(InvalidAmount, match=message):
        parse_amount(value)


@pytest.mark.parametrize("text", ["2.555", "0.001", "1e-999999999"])
def test_a_fraction_of_a_minor_unit_is_no_price(text: str) -> None:
    with pytest.raises(InvalidAmount, match="too many decimals: GBP has 2"):
        minor_units(Decimal(text), "GBP")


def test_currencies_without_minor_units_have_no_prices() -> None:
    assert not {"XXX", "XAU", "XDR", "gbp", "", "BTC"} & set(EXPONENTS)
    assert (EXPONENTS["JPY"], EXPONENTS["EUR"], EXPONENTS["BHD"]) == (0, 2, 3)


@given(st.integers(min_value=0, max_value=10**17), CURRENCIES)
def test_minor_units_come_back_from_their_text(minor: int, currency: str) -> None:
    assert minor_units(parse_amount(decimal_text(minor, currency)), currency) == minor


@given(st.integers(min_value=-(10**20), max_value=10**20), CURRENCIES)
def test_the_text_is_the_exact_decimal(minor: int, currency: str) -> None:
    assert Decimal(decimal_text(minor, currency)) == Decimal(minor).scaleb(-EXPONENTS[currency])


@given(st.decimals(min_value=0, max_value=10**12, allow_nan=False), CURRENCIES)
def test_a_decimal_is_taken_exactly_or_not_at_all(amount: Decimal, currency: str) -> None:
    try:
        minor = minor_units(parse_amount(amount), currency)
    except InvalidAmount:
        assert amount != round(amount, EXPONENTS[currency])
    else:
        assert Decimal(minor).scaleb(-EXPONENTS[currency]) == amount


@given(st.integers(min_value=0, max_value=99_999))
def test_a_json_number_is_as_exact_as_a_string(pence: int) -> None:
    assert minor_units(parse_amount(pence / 100), "GBP") == pence


def test_people_read_the_amount_with_its_currency() -> None:
    assert [money_text(1234, c) for c in ("GBP", "JPY", "KWD")] == ["12.34 GBP", "1234 JPY", "1.234 KWD"]
    assert money_text(5, "EUR") == "0.05 EUR"
    assert money_text(5, "???") == "5 minor units of '???'"
