"""``eventbus why``: which records led to which, of everything that has to do with one key."""

from __future__ import annotations

import logging
from typing import Annotated, Any

import typer

from eventbus.causes import Question, Why, why
from eventbus.causes.search import Budget
from eventbus.causes.spans import Span
from eventbus.cli.ending import CommandError, Exit, output
from eventbus.cli.options import Json, moment
from eventbus.cli.session import settings_and_codec
from eventbus.model.errors import Unavailable
from eventbus.processing.ports import epoch_ms
from eventbus.visible import visible, visible_json

DEEPEST = 30
"""Levels that are indented; what is deeper stands there too, with its level."""
ALL = Budget(records=100_000_000, found=200_000)
"""Nobody else waits for this process."""


def why_(
    key: Annotated[str, typer.Argument(help="the key: an order id, a product id, …")],
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            help="look for records of the key from then on: an ISO 8601 time (UTC), or 15m, 2h, 1d ago; "
            "the nearer, the less there is to read (default: the beginning)",
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="look for records of the key up to then (default: now)")
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="end after so long")] = 60.0,
    kcat: Annotated[
        bool, typer.Option("--kcat", help="below each record the line that prints it with kcat")
    ] = False,
    json: Json = False,
) -> None:
    """Show the causal tree of a key: each record, and below it what it led to, over the topics of all services.

    What failed is there too. Ends with 1 if there is no record, with 4 if the time was too short for all.
    """
    settings, codec = settings_and_codec()
    # The client would log that no broker is reachable; the CommandError says it in one sentence.
    logging.getLogger("librdkafka").setLevel(logging.CRITICAL)
    now = epoch_ms()
    begin = 0 if since is None else moment("--since", since, now)
    end = now if until is None else moment("--until", until, now)
    try:
        found = why(settings, codec, Question(key, [Span(begin, end)], now), seconds, ALL)
    except Unavailable as error:
        raise CommandError(Exit.AWAY, f"{error}.") from error
    rows = list(found.rows(settings))
    with output():
        if json:
            print(
                visible_json(
                    {
                        "key": key,
                        "complete": not found.why_not_all,
                        "missing": found.why_not_all or None,
                        "records": rows,
                    }
                )
            )
        else:
            print_tree(rows, kcat=kcat)
    say_what_is_missing(found)


def print_tree(rows: list[dict[str, Any]], *, kcat: bool) -> None:
    """Print a line for each record, indented below the one that led to it."""
    last = last_of_their_cause([row["depth"] for row in rows])
    open_levels: list[bool] = []
    for row, is_last in zip(rows, last, strict=True):
        depth = row["depth"]
        del open_levels[depth:]
        branch = ("└─ " if is_last else "├─ ") if depth else ""
        level = f"({depth}) " if depth > DEEPEST else ""
        print(indent(open_levels) + branch + level + line(row))
        open_levels.append(not is_last)
        if kcat:
            print(indent(open_levels) + "   " + row["kcat"])


def indent(open_levels: list[bool]) -> str:
    """What stands before a line: a stroke for each level on which more follows."""
    return "".join("│  " if goes_on else "   " for goes_on in open_levels[1:DEEPEST])


def last_of_their_cause(depths: list[int]) -> list[bool]:
    """For each record of a tree, by their depths, whether its cause led to no other after it."""
    found, later = [False] * len(depths), set[int]()
    for index in range(len(depths) - 1, -1, -1):
        depth = depths[index]
        later = {level for level in later if level <= depth}
        found[index] = depth not in later
        later.add(depth)
    return found


def line(row: dict[str, Any]) -> str:
    """One record for people."""
    place = f"{row['topic']}-{row['partition']}-{row['offset']}"
    said = [row["type"] or "?", place, row["time"], row["key"]]
    if row["service"]:
        said.append(f"by {row['service']}")
    if failed := row.get("failed"):
        said.append(f"{failed['state']}, tried {failed['attempts']} times")
        said += [f"due {failed['due']}"] if failed["due"] else []
        said += [failed["error"]] if failed["error"] else []
    if "deadline" in row:
        said.append(f"(the deadline {row['deadline']} passed)")
    if "waitsFor" in row:
        said.append(f"(not decided yet by {', '.join(row['waitsFor'])})")
    if "problem" in row:
        said.append(f"[{row['problem']}]")
    return visible("  ".join(said))


def say_what_is_missing(found: Why) -> None:
    """Raises CommandError if there is nothing, or not all."""
    if found.why_not_all:
        raise CommandError(
            Exit.NOT_ALL,
            f"There may be more: {found.why_not_all} (--since and --until narrow it, --seconds gives it time).",
        )
    if not found.nodes:
        raise CommandError(Exit.NOTHING, f"No record of {visible(found.key)} was found.")
