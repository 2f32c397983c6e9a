"""What can be set for the simulator, from environment variables."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SimulatorSettings(BaseSettings):
    """Where it listens, where its record lies, and how it behaves."""

    model_config = SettingsConfigDict(env_prefix="SIMULATOR_", frozen=True, populate_by_name=True)

    host: str = Field(default="127.0.0.1", description="address where it listens")
    port: int = Field(default=8090, description="where it listens")
    db: Path = Field(default=Path(".run/simulator.db"), description="its record of charges and refunds")
    success_rate: float = Field(
        default=0.9,
        ge=0,
        le=1,
        validation_alias="PAYMENT_SUCCESS_RATE",
        description="share that is taken of the charges whose `paymentMethod` forces no outcome",
    )
    latency: float = Field(default=0.0, ge=0, description="ms added to every charge, refund and look-up")
    hold: float = Field(default=30.0, ge=0, description="s that tok_timeout keeps its caller waiting at most")
