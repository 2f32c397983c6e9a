"""The commands and their exit codes: ``eventbus dlq list | show | redrive | discard``, ``skip``, ``topics``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from eventbus.cli.action import Action
from eventbus.cli.creation import create_topics
from eventbus.cli.ending import CommandError, Exit
from eventbus.cli.index import BURIED, Filters
from eventbus.cli.options import (
    SCHEMAS,
    DryRun,
    Error,
    Json,
    Keys,
    Limit,
    Rate,
    Services,
    Since,
    StateName,
    Type,
    Until,
    Urls,
    Wait,
    Yes,
    filters,
    now,
)
from eventbus.cli.printing import console, list_table, listing, say_message
from eventbus.cli.session import Session, connected, redrivable
from eventbus.cli.showing import shown
from eventbus.cli.skip import skip
from eventbus.model.places import Position
from eventbus.visible import visible, visible_json

HELP = """What waits for a person in the services' dead letter queues.

Exit codes: 0 done; 1 nothing matches, or the answer was no; 2 wrong usage; 3 Kafka or a replica cannot be reached;
4 some keys were busy, failed again, or were not finished in time.
"""
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
dlq = typer.Typer(no_args_is_help=True, help=HELP)
app.add_typer(dlq, name="dlq")
topics_app = typer.Typer(no_args_is_help=True, help="The topics of services.")
app.add_typer(topics_app, name="topics")


@dlq.command("list")
def list_(
    service: Services = None,
    key: Keys = None,
    type_: Type = None,
    error: Error = None,
    since: Since = None,
    until: Until = None,
    state: StateName = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """What waits: a line for each key, by its oldest message, and for each letter that nothing brings back."""
    wanted = filters(key, type_, error, since, until, state)
    desk = Session(service)
    rows = listing(desk.board.chosen(wanted), desk.board.single(wanted))[:limit]
    if json:
        print(visible_json(rows))
        return
    if not rows:
        print("Nothing waits." if wanted == Filters() else "Nothing that waits matches.")
        return
    out = console()
    out.print(list_table(rows, now()))
    if buried := sum(row["state"] == BURIED for row in rows):
        out.print(
            f"\n{buried} BURIED: could not be read as a message of any key, so they cannot be redriven."
        )


@dlq.command()
def show(
    key: Annotated[str, typer.Argument(help="a key, or where a message stands: topic-partition-offset")],
    service: Services = None,
    json: Json = False,
) -> None:
    """Each message of a key: decoded, with its headers, its journey, and what waits behind it."""
    desk = Session(service, keep=key)
    found = [shown(desk.board, desk.codec, item) for item in desk.board.about(key)]
    if not found:
        raise CommandError(
            Exit.NOTHING, f"No message of {key} waits or has waited in {', '.join(desk.services)}."
        )
    if json:
        print(visible_json(found))
        return
    for told in found:
        say_message(console(), told)


@dlq.command()
def redrive(
    service: Services = None,
    key: Keys = None,
    type_: Type = None,
    error: Error = None,
    since: Since = None,
    until: Until = None,
    state: StateName = None,
    limit: Limit = None,
    rate: Rate = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    wait: Wait = 30.0,
    url: Urls = None,
    json: Json = False,
) -> None:
    """Put keys back to work: the dead message of each, as it is, and all that waits behind it, in order."""
    wanted = filters(key, type_, error, since, until, state)
    desk = Session(service)
    queues, left_out = redrivable(desk.board, wanted)
    work = Action("redrive", desk, queues[:limit], left_out, None, rate, url or (), wait)
    work.run(dry=dry_run, sure=yes, json=json)


@dlq.command()
def discard(
    service: Services = None,
    key: Keys = None,
    type_: Type = None,
    error: Error = None,
    since: Since = None,
    until: Until = None,
    state: StateName = None,
    limit: Limit = None,
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="of each key only its oldest messages")
    ] = None,
    rate: Rate = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    wait: Wait = 30.0,
    url: Urls = None,
    json: Json = False,
) -> None:
    """Never decide what waits for keys: all of it, or the oldest of each; the rest then goes on."""
    wanted = filters(key, type_, error, since, until, state)
    desk = Session(service)
    left_out = [(i.service, i.coordinates, "a dead letter only") for i in desk.board.single(wanted)]
    work = Action("discard", desk, desk.board.chosen(wanted)[:limit], left_out, count, rate, url or (), wait)
    work.run(dry=dry_run, sure=yes, json=json)


@app.command("skip")
def skip_(
    topic: Annotated[str, typer.Argument(help="where the record stands, without the topic's prefix")],
    partition: Annotated[int, typer.Argument(min=0)],
    offset: Annotated[int, typer.Argument(min=0)],
    reason: Annotated[str, typer.Option("--reason", help="why; it is kept with the skip")],
    undo: Annotated[bool, typer.Option("--undo", help="skip it no more")] = False,
    yes: Yes = False,
) -> None:
    """Set a record aside: nothing is folded from it, and nobody decides it. For records that nobody wrote rightly."""
    if not reason.strip():
        raise CommandError(Exit.USAGE, "--reason must say why.")
    topics, codec = connected()
    skip(topics, codec, Position(topic, partition, offset), reason.strip(), undo=undo, sure=yes)


@topics_app.command("create")
def create_(
    imports: Annotated[
        list[str],
        typer.Argument(
            metavar="IMPORT...",
            help="package.module:attribute of a Service, or of a function without arguments that returns one",
        ),
    ],
) -> None:
    """Create the topics that these services need and that do not exist; those that do stay as they are."""
    create_topics(imports)


@app.callback()
def common(
    bootstrap_servers: Annotated[
        str | None, typer.Option(help="Kafka [default: EVENTBUS_BOOTSTRAP_SERVERS]")
    ] = None,
    topic_prefix: Annotated[
        str | None, typer.Option(help="before every topic [default: EVENTBUS_TOPIC_PREFIX]")
    ] = None,
    schemas: Annotated[
        list[str] | None,
        typer.Option(
            help="a schema package whose messages are shown decoded (repeat for more) [default: EVENTBUS_SCHEMAS]"
        ),
    ] = None,
) -> None:
    """Operate services built on eventbus."""
    if schemas:
        os.environ[SCHEMAS] = " ".join(schemas)
    if bootstrap_servers is not None:
        os.environ["EVENTBUS_BOOTSTRAP_SERVERS"] = bootstrap_servers
    if topic_prefix is not None:
        os.environ["EVENTBUS_TOPIC_PREFIX"] = topic_prefix


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and end the process with its exit code."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="eventbus")
    except CommandError as trouble:
        print(visible(str(trouble)), file=sys.stderr)
        sys.exit(trouble.code)
