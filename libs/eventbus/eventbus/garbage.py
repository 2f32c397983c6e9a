"""How often Python looks for garbage that refers to itself."""

from __future__ import annotations

import gc


def collect_seldom() -> None:
    """Look for it after 100,000 new objects, and never among what is there now. Call it once all is imported.

    What is imported stays for good, and messages have no cycles. Looking for some took a fifth of the time, and a
    twentieth while that began within each batch: 500 messages are some 50,000 objects.
    """
    gc.freeze()
    gc.set_threshold(100_000, 10, 10)
