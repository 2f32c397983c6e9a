"""The pages for operators say what the code does: the headers of dead letters, effects and exit codes."""

from __future__ import annotations

import re
from pathlib import Path

from eventbus.cli.ending import Exit
from eventbus.model.record import Raw
from eventbus.retry.parked import ERRORS, TRUNCATED, Parked, State
from eventbus.retry.preview import Effect

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "operations.md").read_text()
REDRIVE = (DOCS / "how-to" / "redrive.md").read_text()


def test_every_header_of_a_dead_letter_is_listed() -> None:
    raw = Raw("order.commands", 0, 0, b"k", b"junk", [], 0)
    letter = Parked(raw, "", "", 0, State.DEAD, 1, 0, 0).dead_letter_headers("order", "1", 0)
    table = PAGE.split("| header `")[1].split("\n\n")[0]
    listed = set(re.findall(r"`([a-z.]+)`", table.split("\n", 2)[2]))
    assert {name.removeprefix(ERRORS) for name in (*dict(letter), TRUNCATED)} == listed


def test_every_verdict_and_every_exit_code_is_listed() -> None:
    assert re.findall(r"^\| `([a-z ]+)` \|", REDRIVE, re.MULTILINE) == [v.value for v in Effect]
    assert re.findall(r"^\| ([0-9]+) \|", REDRIVE, re.MULTILINE) == [str(e.value) for e in Exit]
