"""What can be set for notification, from environment variables that start with ``NOTIFICATION_``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.notification.line_file import LineFile


class NotificationSettings(BaseSettings):
    """Where the default channel writes."""

    model_config = SettingsConfigDict(env_prefix="NOTIFICATION_", env_parse_none_str="none", frozen=True)

    file: Path | None = Path(".run/notifications.log")
    """Where the default channel writes, readable for its owner only. ``none``: to the log only, addresses masked."""
    file_size: int = Field(
        default=10_000_000, ge=10_000, description="bytes the file may have before it becomes <file>.1"
    )
    files_kept: int = Field(default=5, ge=1, description="older files that are kept, <file>.1 the youngest")

    @property
    def lines(self) -> LineFile | None:
        """Where the lines go besides the log."""
        return None if self.file is None else LineFile(self.file, self.file_size, self.files_kept)
