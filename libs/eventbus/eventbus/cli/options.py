"""The options of the commands, and what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from eventbus.cli.ending import CommandError, Exit
from eventbus.cli.index import STATES, Filters, instant
from eventbus.processing.ports import epoch_ms

URLS = "EVENTBUS_URLS"
SCHEMAS = "EVENTBUS_SCHEMAS"
"""The schema packages whose messages are shown decoded, separated by spaces."""

Services = Annotated[
    list[str] | None, typer.Option("--service", help="of this service (repeat for more); else of all")
]
Keys = Annotated[list[str] | None, typer.Option("--key", help="of this key (repeat for more)")]
Type = Annotated[str | None, typer.Option("--type", help="message type, as in ce_type")]
Error = Annotated[str | None, typer.Option("--error", help="exception class, or part of its text")]
Since = Annotated[
    str | None,
    typer.Option("--since", help="waits since then or later: an ISO 8601 time (UTC), or 15m, 2h, 1d ago"),
]
Until = Annotated[str | None, typer.Option("--until", help="waits since then or earlier")]
StateName = Annotated[str | None, typer.Option("--state", help=" | ".join(STATES))]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="the keys parked longest, at most so many")]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="only print the effect on each message; a replica is asked")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do not ask")]
Rate = Annotated[float | None, typer.Option("--rate", min=0.001, help="keys a second, at most")]
Wait = Annotated[float, typer.Option("--wait", min=0, help="seconds to wait for the results")]
Urls = Annotated[
    list[str] | None, typer.Option("--url", envvar=URLS, help="service=http://host:port of any replica")
]


def filters(
    keys: Sequence[str] | None,
    type_: str | None,
    error: str | None,
    since: str | None,
    until: str | None,
    state: str | None,
) -> Filters:
    """The options as filters. Raises CommandError for an invalid time or state."""
    now, times = epoch_ms(), dict[str, int | None]()
    for option, text in (("--since", since), ("--until", until)):
        times[option] = None if text is None else moment(option, text, now)
    if state is not None and state.upper() not in STATES:
        raise CommandError(Exit.USAGE, f"--state {state} is none of {', '.join(STATES)}.")
    return Filters(
        tuple(keys or ()), type_, error, times["--since"], times["--until"], state and state.upper()
    )


def moment(option: str, text: str, now: int) -> int:
    """ms since epoch that an option says, as :func:`~eventbus.cli.index.instant`. Raises CommandError."""
    try:
        return instant(text, now)
    except (ValueError, OverflowError) as wrong:
        raise CommandError(
            Exit.USAGE, f"{option} {text} is no time: give 2026-05-04T10:00 (UTC), or 15m, 2h, 1d (ago)."
        ) from wrong


def addresses(given: Sequence[str]) -> dict[str, str]:
    """By service, where a replica answers, from ``service=URL`` texts; no trailing slash. Raises CommandError."""
    urls = {}
    for text in given:
        name, _, url = text.partition("=")
        if not url.startswith(("http://", "https://")):
            raise CommandError(Exit.USAGE, f"--url {text} is none: give service=http://host:port.")
        urls[name] = url.rstrip("/")
    return urls
