"""What can be set for payment, from environment variables that start with ``PAYMENT_``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class PaymentSettings(BaseSettings):
    """Where the gateway is and how long it may take. Times in seconds."""

    model_config = SettingsConfigDict(env_prefix="PAYMENT_", frozen=True)

    gateway_url: str = "http://127.0.0.1:8090"
    gateway_timeout: float = Field(default=2.0, gt=0, description="for one HTTP call, all of it")
    on_exhausted: Literal["park", "fail"] = Field(
        default="park", description="after the last try of a charge: wait for a person, or fail the payment"
    )
    gateway_connections: int = Field(default=256, gt=0, description="calls in flight at once")
