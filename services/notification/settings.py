"""What can be set for notification, from environment variables that start with ``NOTIFICATION_``."""

from __future__ import annotations

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class NotificationSettings(BaseSettings):
    """Where the default channel writes."""

    model_config = SettingsConfigDict(env_prefix="NOTIFICATION_", env_parse_none_str="none", frozen=True)

    file: Path | None = Path(".run/notifications.log")
    """``none``: to the log only."""
