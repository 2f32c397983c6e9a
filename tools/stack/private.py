"""Everything a stack writes is its user's alone: settings hold secrets, state and logs hold what customers ordered.

Standard library only, as all that ``down`` and ``ps`` need.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

MADE = (
    "stack.json",
    "compose.env",
    "supervisord.conf",
    "supervisord.pid",
    "lock",
    "notifications.log*",
    "kafka",
    "logs",
    "simulator",
    "state",
)
"""What a stack makes in its run directory."""


def write_privately() -> None:
    """From now on this process and its children make files of mode 600 and directories of mode 700."""
    os.umask(0o077)


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 600; one that was there is closed to others before the text is in it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as file:
        os.fchmod(descriptor, 0o600)
        file.write(text)


def close_to_others(run_dir: Path) -> None:
    """Take the rights of group and others from what an older version left in a run directory.

    The directory itself may hold what is not the stack's, so only :data:`MADE` is touched.
    """
    for pattern in MADE:
        for top in run_dir.glob(pattern):
            for path in (top, *top.rglob("*")):
                if not path.is_symlink():
                    # a running database's files come and go; what is another user's is that user's to close
                    with suppress(FileNotFoundError, PermissionError):
                        path.chmod(path.stat().st_mode & 0o700)
