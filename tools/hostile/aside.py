"""Sets records aside as an operator does, by what ``eventbus skip`` does."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import redirect_stdout

from eventbus.cli.skip import skip
from eventbus.cli.topics import Topics
from eventbus.codec import Codec
from eventbus.messages import Position
from eventbus.settings import Settings


def set_aside(settings: Settings, places: Iterable[Position], reason: str) -> None:
    """Skip all these records, and say nothing. Raises Trouble."""
    codec = Codec()
    topics = Topics(settings, codec)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        for place in places:
            skip(topics, codec, place, reason, undo=False, sure=True)
