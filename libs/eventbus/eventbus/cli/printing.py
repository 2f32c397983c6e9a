"""How the command line says it to a person: tables with rich, times as ages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventbus.cli.index import Item, ParkedKey, age
from eventbus.cli.result import Report
from eventbus.visible import visible, visible_json

WIDE = 200
"""Columns of what goes into a pipe: nothing is cut there."""


def console() -> Console:
    """Standard output, as wide as its terminal."""
    out = Console(highlight=False, markup=False, emoji=False)
    return out if out.is_terminal else Console(highlight=False, markup=False, emoji=False, width=WIDE)


def plain(text: str, style: str = "") -> Text:
    """What a record said, as text and nothing but text: no markup, no escape sequence, one line."""
    return Text(visible(text), style=style)


def say(out: Console, text: str, style: str = "") -> None:
    """One line, however long, of which parts come from a record."""
    out.print(plain(text, style), soft_wrap=True)


def table(*columns: str) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(Text(column), overflow="fold", no_wrap=column in ("state", "since", "service"))
    return made


def row_of(item: Item, behind: int) -> dict[str, Any]:
    """One line of the list, as JSON."""
    parked = item.parked
    return {
        "service": item.service,
        "log": parked.log,
        "key": parked.key,
        "type": item.type,
        "state": item.state,
        "attempts": parked.attempt,
        "since": parked.since,
        "due": parked.due,
        "error": item.error,
        "behind": behind,
        "coordinates": item.coordinates,
        "redrivable": item.state == "DEAD",
    }


def listing(queues: Sequence[ParkedKey], single: Sequence[Item]) -> list[dict[str, Any]]:
    """A line for every key, by its oldest message, and one for each message that stands alone."""
    return [row_of(q.head, len(q.items) - 1) for q in queues] + [row_of(item, 0) for item in single]


def list_table(rows: Sequence[dict[str, Any]], now: int) -> Table:
    made = table("service", "key", "type", "state", "attempts", "since", "error", "behind")
    for row in rows:
        first = row["error"].partition("\n")[0]
        cells = [row["service"], row["key"], row["type"], row["state"], str(row["attempts"])]
        cells += [age(row["since"], now), first[:120], str(row["behind"])]
        made.add_row(*(plain(cell) for cell in cells))
    return made


def say_report(out: Console, report: Report) -> None:
    """What became, or would become, of each message; then the counts."""
    made = table("service", "key", "message", "at", "verdict", "events, or why")
    for result in report.results:
        for row in result.rows:
            said = row.error.partition("\n")[0][:120] or ", ".join(row.events)
            verdict = "busy" if result.result == "busy" else row.verdict.value
            said = result.note or said
            cells = [result.queue.service, result.queue.key, row.type, row.coordinates, verdict, said]
            made.add_row(*(plain(cell) for cell in cells))
    if report.results:
        out.print(made)
        out.print()
    for service, key, reason in report.left_out:
        say(out, f"left out: {service} {key}: {reason}")
    counts = ", ".join(f"{count} {verdict}" for verdict, count in report.counts().items()) or "no message"
    noun = f"{len(report.results)} key{'s' * (len(report.results) != 1)}"
    what = f"dry run of {report.action}" if report.dry else report.action
    say(out, f"{what}: {noun}; {counts}")


def say_message(out: Console, told: dict[str, Any]) -> None:
    """One message with all that is known of it."""
    say(out, f"{told['type'] or 'unreadable'} {told['coordinates']}", "bold")
    say(out, f"  {told['service']}: {told['state']}, {told['attempts']} tries, since {told['since']}")
    for more in (told["error"], told["note"]):
        if more:
            say(out, f"  {more}")
    say(out, f"  correlation id {told['correlationId'] or '-'}  traceparent {told['traceparent'] or '-'}")
    say(out, "  message", "bold")
    for line in visible_json(told["message"]).splitlines():
        say(out, "    " + line)
    say(out, "  headers", "bold")
    for header in told["headers"]:
        say(out, f"    {header['name']}: {header['value']}")
    say(out, "  journey", "bold")
    for step in told["journey"]:
        events = f" → {', '.join(step['events'])}" if step["events"] else ""
        why = f"  {step['error']}" if step["error"] else ""
        say(out, f"    {step['at']}  {step['state']}  {step['attempts']} tries{events}{why}")
    if told["behind"]:
        say(out, f"  behind it: {', '.join(told['behind'])}")
    out.print()
