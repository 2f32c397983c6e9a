"""The numbered place of a replica: nobody else has it while the process lives."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from pathlib import Path

from eventbus.model.errors import Fenced
from eventbus.private import close_to_others

IDENTITY = re.compile(r"[0-9a-f]{16}")


class Slot:
    """A replica's place: a locked directory ``<state_dir>/<service>-<n>`` of mode 700.

    ``transactional_id`` is ``<service>-<n>-<identity>``. The identity is random, is made once, and stays in the
    directory: the id is the same after a restart, and no other directory of the cluster has it.
    Raises Fenced if the wanted slot belongs to another process.
    """

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
            self.transactional_id = f"{service}-{number}-{_identity(directory)}"
            return
        raise Fenced(
            f"slot {wanted} of {service} in {state_dir} is held by another process: stop it, or choose another "
            "slot (EVENTBUS_SLOT)"
        )

    def release(self) -> None:
        os.close(self._lock)


def _identity(directory: Path) -> str:
    """What the file ``identity`` of a locked directory holds; it is made if there is none, or only half of one."""
    file = directory / "identity"
    try:
        found = file.read_text(errors="replace").strip()
    except FileNotFoundError:
        found = ""
    if IDENTITY.fullmatch(found):
        return found
    made = secrets.token_hex(8)
    draft = directory / "identity.new"
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as written:
        written.write(made + "\n")
        written.flush()
        os.fsync(written.fileno())
    draft.replace(file)  # in one step: a process that dies here leaves no half of it
    return made
