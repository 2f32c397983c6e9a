"""Files that only their own user may read: the state holds what customers ordered, and their addresses."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_privately() -> None:
    """From now on the process makes files of mode 600 and directories of mode 700."""
    os.umask(0o077)


def close_to_others(*paths: Path) -> None:
    """Take the rights of group and others from files and directories, with all that is in these.

    What an older version made is closed so. What belongs to another user is left as it is: only its owner may.
    """
    for path in paths:
        for found in (path, *path.rglob("*")):
            if not found.is_symlink():
                with suppress(PermissionError, FileNotFoundError):
                    found.chmod(found.stat().st_mode & 0o700)
