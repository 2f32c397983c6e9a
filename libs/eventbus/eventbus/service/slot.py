"""The numbered place of a replica: nobody else has it while the process lives."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from eventbus.model.errors import Fenced
from eventbus.private import close_to_others


class Slot:
    """A replica's place: a locked directory ``<state_dir>/<service>-<n>`` of mode 700, also its transactional id."""

    def __init__(self, state_dir: Path, service: str, wanted: int | None) -> None:
        for number in [wanted] if wanted is not None else range(1000):
            directory = state_dir / f"{service}-{number}"
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            close_to_others(directory)
            self.number, self.directory, self._lock = number, directory, lock
            return
        raise Fenced(
            f"slot {wanted} of {service} in {state_dir} is held by another process: stop it, or choose another "
            "slot (EVENTBUS_SLOT)"
        )

    def release(self) -> None:
        os.close(self._lock)
