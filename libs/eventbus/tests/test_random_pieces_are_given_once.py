"""Ids are made of random bytes that are drawn for many ids at once: nobody is given what another was given."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from eventbus.model import randomness
from eventbus.model.randomness import SIZE, random_piece


def test_threads_are_given_different_pieces() -> None:
    def take(_: int) -> list[bytes]:
        return [random_piece() for _ in range(5_000)]

    with ThreadPoolExecutor(8) as threads:
        pieces = [piece for taken in threads.map(take, range(8)) for piece in taken]
    assert len(set(pieces)) == 40_000
    assert {len(piece) for piece in pieces} == {SIZE}


def test_a_forked_process_is_given_none_of_its_parents() -> None:
    random_piece()
    left = set(randomness._pieces)
    assert left, "there are some that were drawn before"
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, b"".join(random_piece() for _ in range(100)))
        os._exit(0)
    os.waitpid(child, 0)
    given = os.read(reading, 100 * SIZE)
    os.close(reading)
    os.close(writing)
    pieces = {given[at : at + SIZE] for at in range(0, len(given), SIZE)}
    assert len(pieces) == 100 and not pieces & left
