"""What the command line prints for people: tables with rich, times as ages."""

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
    """Text from a record: no markup, no escape sequence, one line."""
    return Text(visible(text), style=style)


def print_line(out: Console, text: str, style: str = "") -> None:
    """Print one line, however long, of which parts come from a record."""
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


def listing(parked_keys: Sequence[ParkedKey], others: Sequence[Item]) -> list[dict[str, Any]]:
    """A line for every parked key, by its oldest message, and one for each other message."""
    return [row_of(key.head, len(key.items) - 1) for key in parked_keys] + [
        row_of(item, 0) for item in others
    ]


def list_table(rows: Sequence[dict[str, Any]], now: int) -> Table:
    made = table("service", "key", "type", "state", "attempts", "since", "error", "behind")
    for row in rows:
        first = row["error"].partition("\n")[0]
        cells = [row["service"], row["key"], row["type"], row["state"], str(row["attempts"])]
        cells += [age(row["since"], now), first[:120], str(row["behind"])]
        made.add_row(*(plain(cell) for cell in cells))
    return made


def print_report(out: Console, report: Report) -> None:
    """Print the effect on each message; then the counts."""
    made = table("service", "key", "message", "at", "verdict", "events, or why")
    for result in report.results:
        for row in result.rows:
            reason = row.error.partition("\n")[0][:120] or ", ".join(row.events)
            effect = "busy" if result.result == "busy" else row.effect.value
            cells = [result.parked_key.service, result.parked_key.key, row.type, row.coordinates, effect]
            cells.append(result.note or reason)
            made.add_row(*(plain(cell) for cell in cells))
    if report.results:
        out.print(made)
        out.print()
    for service, key, reason in report.left_out:
        print_line(out, f"left out: {service} {key}: {reason}")
    counts = ", ".join(f"{count} {effect}" for effect, count in report.counts().items()) or "no message"
    noun = f"{len(report.results)} key{'s' * (len(report.results) != 1)}"
    what = f"dry run of {report.action}" if report.dry else report.action
    print_line(out, f"{what}: {noun}; {counts}")


def print_message(out: Console, details: dict[str, Any]) -> None:
    """Print one message with all that is known of it."""
    print_line(out, f"{details['type'] or 'unreadable'} {details['coordinates']}", "bold")
    print_line(
        out,
        f"  {details['service']}: {details['state']}, {details['attempts']} tries, since {details['since']}",
    )
    for more in (details["error"], details["note"]):
        if more:
            print_line(out, f"  {more}")
    print_line(
        out,
        f"  correlation id {details['correlationId'] or '-'}  traceparent {details['traceparent'] or '-'}",
    )
    print_line(out, "  message", "bold")
    for line in visible_json(details["message"]).splitlines():
        print_line(out, "    " + line)
    print_line(out, "  headers", "bold")
    for header in details["headers"]:
        print_line(out, f"    {header['name']}: {header['value']}")
    print_line(out, "  journey", "bold")
    for step in details["journey"]:
        events = f" → {', '.join(step['events'])}" if step["events"] else ""
        why = f"  {step['error']}" if step["error"] else ""
        by = f"  (wished by {step['by']})" if step["by"] else ""
        print_line(out, f"    {step['at']}  {step['state']}  {step['attempts']} tries{events}{why}{by}")
    if details["behind"]:
        print_line(out, f"  behind it: {', '.join(details['behind'])}")
    out.print()
