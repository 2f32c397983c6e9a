"""The numbered place of a replica: nobody else has it while the process lives."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from eventbus.errors import Fenced


class Slot:
    """A replica's place: a locked directory ``<state_dir>/<service>-<n>``, also its transactional id."""

    def __init__(self, state_dir: Path, service: str, wanted: int | None) -> None:
        for number in [wanted] if wanted is not None else range(1000):
            directory = state_dir / f"{service}-{number}"
            directory.mkdir(parents=True, exist_ok=True)
            lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            self.number, self.directory, self._lock = number, directory, lock
            return
        raise Fenced(
            f"slot {wanted} of {service} in {state_dir} is held by another process: stop it, or choose another "
            "slot (EVENTBUS_SLOT)"
        )

    def release(self) -> None:
        os.close(self._lock)
