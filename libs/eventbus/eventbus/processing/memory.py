"""Memory that is not needed any more goes back to the system."""

from __future__ import annotations


def give_back() -> None:
    """Return what the C library has free. glibc else keeps what a rebuild took, three times what is needed later.

    Does nothing where the C library cannot do it. Takes some milliseconds.
    """
    import ctypes  # only a process that has rebuilt something needs it

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
