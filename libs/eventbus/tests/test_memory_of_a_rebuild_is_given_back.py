"""What a rebuild took goes back to the system; without that, glibc keeps it for as long as the process lives."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from eventbus.processing import memory

MANY_SMALL = """
from eventbus.processing.memory import give_back

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

# Too large for Python's own pools; every hundredth stays, so that the heap does not shrink by itself.
blocks = [bytes(1_000) for _ in range(100_000)]
blocks = blocks[::100]
before = resident()
give_back()
print(before - resident())
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc keeps so much, and can give it back"
)
def test_what_was_freed_among_what_is_kept_is_given_back() -> None:
    ran = subprocess.run([sys.executable, "-c", MANY_SMALL], capture_output=True, text=True, check=True)
    assert int(ran.stdout) > 50_000_000


def test_a_c_library_that_cannot_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    memory.give_back()
