"""What can be set for inventory, from environment variables that start with ``INVENTORY_``."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class InventorySettings(BaseSettings):
    """How the stock calls behave. Times in seconds."""

    model_config = SettingsConfigDict(env_prefix="INVENTORY_", frozen=True)

    answer_timeout: float = Field(
        default=5.0, gt=0, description="for an adjustment to be decided; after that the answer is 503"
    )
    page_size: int = Field(
        default=100, ge=1, le=1000, description="products on a page of GET /stock that names no limit"
    )
