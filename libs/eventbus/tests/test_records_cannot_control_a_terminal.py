"""What records hold reaches neither terminal nor log as anything but text."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys

import pytest
from rich.console import Console

from eventbus.cli.details import message_details
from eventbus.cli.index import DeadLetterIndex
from eventbus.cli.printing import list_table, listing, print_message, print_report
from eventbus.cli.result import DONE, KeyResult, Report, Row
from eventbus.codec import Codec
from eventbus.model.record import Headers, Raw
from eventbus.retry.parked import Parked, State
from eventbus.retry.preview import Effect
from eventbus.visible import VisibleFormatter, visible, visible_json

NOW = 1_800_000_000_000
HOSTILE = {
    "ESC": "\x1b[31m",
    "CSI of one byte": "\x9b31m",
    "OSC 52, which fills the clipindex": "\x1b]52;c;cm0gLXJm\x07",
    "BEL": "\x07",
    "CR": "paid\rfree",
    "line break": "a\n2026-05-04 10:00:00,000 INFO order all is well",
    "line separators": "a\u2028b\u2029c\x85d\x0b\x0c",
    "bidi override": "order-\u202e321",
    "bidi isolate": "\u2066x\u2069",
    "C1": "\x84\x90\x9d\x9c",
    "NUL and DEL": "\x00\x7f",
    "zero width": "ord\u200ber",
    "lone surrogate": "\udc80",
    "tag characters": "\U000e0041",
}
MARKUP = "[red]loud[/red] [link=http://evil]x[/link] :bomb:"


def no_glyph(text: str) -> set[str]:
    """What of a text a terminal may obey, line breaks aside."""
    return {c for c in text if not c.isprintable() and c != "\n"}


@pytest.mark.parametrize("kind", HOSTILE)
def test_m8_what_has_no_glyph_can_be_seen(kind: str) -> None:
    text = visible(HOSTILE[kind])

    assert text.isprintable()
    assert text.encode()
    assert any(mark in text for mark in ("\\x", "\\r", "\\n", "\\u", "\\U"))


def test_m8_plain_text_of_every_language_stays_as_it_is() -> None:
    for text in ("order-1", "Ærø, 東京, العربية, 🙂", "[red]", "C:\\x1b", ""):
        assert visible(text) is text


def test_m8_only_line_breaks_stay_where_lines_are_meant() -> None:
    assert visible("a\n\x1bb\r\n", lines=True) == "a\n\\x1bb\\r\n"


@pytest.mark.parametrize("kind", HOSTILE)
def test_m8_json_stays_json_and_harmless(kind: str) -> None:
    text = visible_json({"key": HOSTILE[kind], HOSTILE[kind]: ["東京", MARKUP]})

    assert no_glyph(text) == set()
    assert text.count("\n") == 6
    assert json.loads(text) == {"key": HOSTILE[kind], HOSTILE[kind]: ["東京", MARKUP]}


@pytest.mark.parametrize("text", [*HOSTILE.values(), MARKUP], ids=[*HOSTILE, "markup"])
def test_m8_the_dlq_commands_show_hostile_records_as_text(text: str) -> None:
    encodable = text.encode("utf-8", "backslashreplace").decode()
    headers: Headers = [
        ("ce_type", encodable.encode()),
        ("correlationid", encodable.encode()),
        (encodable, b"v"),
    ]
    headers += [("traceparent", encodable.encode()), ("x", encodable.encode())]
    raw = Raw("order.commands", 0, 1, encodable.encode(), b"\x00", headers, NOW)
    parked = Parked(
        raw,
        "order.events",
        encodable,
        1,
        State.DEAD,
        3,
        0,
        NOW,
        encodable,
        encodable,
        f"Traceback\n{encodable}",
    )
    index = DeadLetterIndex(Codec("parcels").name_of, keep=encodable)
    index.fold(Raw("parcel.retry", 0, 0, b"k", raw.value, parked.headers(), NOW))
    (queue,) = index.parked_keys()
    row = Row(parked.raw.coordinates, encodable, Effect.FAILS, "DEAD", (encodable,), encodable)
    results = [KeyResult(queue, DONE, (row,)), KeyResult(queue, "busy", (row,), encodable)]
    out = Console(file=io.StringIO(), highlight=False, markup=False, emoji=False, width=400)

    out.print(list_table(listing(index.parked_keys(), []), NOW))
    print_report(out, Report("redrive", False, results, [("parcel", encodable, encodable)]))
    for item in index.about(encodable):
        print_message(out, message_details(index, Codec("parcels"), item))

    printed = out.file.getvalue()  # type: ignore[attr-defined]
    assert no_glyph(printed) == set()
    assert printed.count(visible(encodable).partition("\\n")[0]) >= 10
    assert not any(line.startswith("2026-05-04") for line in printed.splitlines())


@pytest.mark.parametrize("kind", HOSTILE)
def test_m8_a_log_line_is_one_line_whatever_is_logged(kind: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "key %s", (HOSTILE[kind],), None)

    line = VisibleFormatter("%(levelname)s %(message)s").format(record)

    assert line == f"INFO key {visible(HOSTILE[kind])}"
    assert line.isprintable()


def test_the_time_of_a_log_line_is_that_of_its_record() -> None:
    ours, standard = VisibleFormatter("%(asctime)s"), logging.Formatter("%(asctime)s")
    for created in (1_790_000_000.25, 1_790_000_000.999, 1_790_000_001.0, 1_790_000_000.5, 1_790_003_600.5):
        record = logging.LogRecord("x", logging.INFO, "f", 1, "", (), None)
        record.created, record.msecs = created, created % 1 * 1000
        assert ours.format(record) == standard.format(record)


def test_m8_a_traceback_keeps_its_lines_and_forges_none() -> None:
    try:
        raise ValueError("a\n2026-05-04 10:00:00,000 INFO order forged \x1b[2J")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "it failed", (), sys.exc_info())

    first, *rest = VisibleFormatter("%(message)s").format(record).split("\n")

    assert first == "it failed"
    assert len(rest) > 3
    assert all(line.startswith("    ") and line.isprintable() for line in rest)
    assert "Traceback" in rest[0] and "\\x1b[2J" in rest[-1]


def test_m8_an_error_of_the_command_line_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    from eventbus.cli import app
    from eventbus.cli.ending import CommandError, Exit

    def fail(**_: object) -> None:
        raise CommandError(Exit.NOTHING, "No message of \x1b]52;c;eA==\x07 waits.")

    before, app.app = app.app, fail  # type: ignore[assignment]
    try:
        with pytest.raises(SystemExit):
            app.main([])
    finally:
        app.app = before

    assert capsys.readouterr().err == "No message of \\x1b]52;c;eA==\\x07 waits.\n"


def test_m8_a_process_that_logs_visibly_prints_one_line_a_record() -> None:
    script = (
        "import logging, eventbus.visible as v; v.log_visibly('INFO', 'order');"
        "logging.getLogger('x').warning('key %s', 'a\\x1b[2J\\n2026 forged')"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    (line,) = done.stderr.splitlines()
    assert line.endswith("WARNING order x key a\\x1b[2J\\n2026 forged")
