"""Random bytes for ids, drawn from the kernel for many ids at once.

``os.urandom`` gives up the interpreter while it asks the kernel. Under load another thread takes it then and keeps it
for a while, and this once for each id costs more than the bytes.
"""

from __future__ import annotations

import os

SIZE = 16
_DRAWN = 256 * SIZE

_pieces: list[bytes] = []
os.register_at_fork(after_in_child=_pieces.clear)  # or parent and child would give the same


def random_piece() -> bytes:
    """16 random bytes, fit for secrets, that no other call is given. Any thread may call it."""
    while True:
        try:
            return _pieces.pop()
        except IndexError:
            drawn = os.urandom(_DRAWN)
            _pieces.extend([drawn[at : at + SIZE] for at in range(0, _DRAWN, SIZE)])
