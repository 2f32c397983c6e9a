"""What can be set for order, from environment variables that start with ``ORDER_``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.money import EXPONENTS
from services.order.rules import Limits

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def _duration(value: object) -> object:
    """A timedelta from ``15m``, ``900s``, ``2h``, ``1d`` or a number of seconds."""
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([smhd]?)", str(value).strip())
    if not match:
        raise ValueError('expected a duration such as "15m", "900s" or a number of seconds')
    return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])


def _known_currency(code: str) -> str:
    if code not in EXPONENTS:
        raise ValueError(f"unknown currency {code!r}: expected an ISO 4217 code")
    return code


class OrderSettings(BaseSettings):
    """Limits of an order and of waiting for one."""

    model_config = SettingsConfigDict(env_prefix="ORDER_", frozen=True)

    deadline: Annotated[timedelta, BeforeValidator(_duration)] = Field(
        default=timedelta(minutes=15),
        gt=timedelta(0),
        le=timedelta(days=365),
        description="for an order to settle (`900s`, `2h`, `1d`) before it fails and is undone",
    )
    max_items: int = Field(default=2_000, ge=1, description="lines of one order")
    max_quantity: int = Field(default=100_000, ge=1, le=2**31 - 1, description="pieces in one line")
    default_currency: Annotated[str, AfterValidator(_known_currency)] = Field(
        default="GBP", description="of an order that names none (ISO 4217)"
    )
    max_wait: float = Field(
        default=30.0, ge=0, description="seconds a request may ask to wait for an order to settle"
    )
    answer_timeout: float = Field(
        default=4.5,
        gt=0,
        description="seconds from the arrival of a command to the 503 if it is still undecided",
    )
    events_page: int = Field(
        default=200, ge=1, le=1_000, description="events on a page of a timeline that names no limit"
    )
    max_undecided: int = Field(
        default=1_000, ge=1, description="commands not decided yet above which orders are refused"
    )
    max_lag: float = Field(
        default=60.0,
        gt=0,
        description="seconds an order would wait to settle, at the present pace, above which orders are refused",
    )
    max_open: int = Field(
        default=150_000, ge=1, description="orders open, without those held, above which orders are refused"
    )

    batch_patience: float = Field(
        default=60.0,
        ge=0,
        description="seconds for which a batch waits while orders would be refused, before its lines are",
    )

    max_lines: int = Field(
        default=100_000,
        ge=1,
        description="lines of orders that wait for inventory, above which orders are refused",
    )

    watched: str = Field(
        default="payment,inventory,notification",
        description="services, with commas between, in whose retry topics a message about an order may wait (`held`)",
    )

    @property
    def watched_topics(self) -> tuple[str, ...]:
        """The retry topics of the services of :attr:`watched`."""
        names = (name.strip() for name in self.watched.split(","))
        return tuple(f"{name}.retry" for name in names if name)

    @property
    def limits(self) -> Limits:
        """The limits that the rules of an order know."""
        return Limits(items=self.max_items, quantity=self.max_quantity)
