"""The commands and their exit codes: ``eventbus tail``, ``decode``, ``send``, ``why``, ``dlq …`` and so on."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from eventbus.cli.action import Action
from eventbus.cli.creation import create_topics
from eventbus.cli.decode import decode
from eventbus.cli.details import message_details
from eventbus.cli.ending import CommandError, Exit
from eventbus.cli.index import BURIED, Filters
from eventbus.cli.key import make_key
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
)
from eventbus.cli.printing import console, list_table, listing, print_message
from eventbus.cli.send import send
from eventbus.cli.session import Session, redrivable, settings_and_codec
from eventbus.cli.skip import skip
from eventbus.cli.tail import tail
from eventbus.cli.why import why_
from eventbus.model.places import Position
from eventbus.processing.ports import epoch_ms
from eventbus.visible import visible, visible_json

HELP = """The messages in the services' dead letter queues.

Exit codes: 0 done; 1 nothing matches, or the answer was no; 2 wrong usage; 3 Kafka or a replica cannot be reached;
4 some keys were busy, failed again, or were not finished in time.
"""
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
dlq = typer.Typer(no_args_is_help=True, help=HELP)
app.command("tail")(tail)
app.command("decode")(decode)
app.command("send")(send)
app.command("why")(why_)
app.command("key")(make_key)
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
    """List a line for each parked key, by its oldest message, and for each dead letter that cannot be redriven."""
    wanted = filters(key, type_, error, since, until, state)
    session = Session(service)
    rows = listing(session.index.matching(wanted), session.index.not_parked(wanted))[:limit]
    if json:
        print(visible_json(rows))
        return
    if not rows:
        print("Nothing waits." if wanted == Filters() else "Nothing that waits matches.")
        return
    out = console()
    out.print(list_table(rows, epoch_ms()))
    if buried := sum(row["state"] == BURIED for row in rows):
        out.print(
            f"\n{buried} BURIED: could not be read as a message of any key, so they cannot be redriven."
        )


@dlq.command()
def show(
    key: Annotated[str, typer.Argument(help="a key, or the position of a message: topic-partition-offset")],
    service: Services = None,
    json: Json = False,
) -> None:
    """Show each message of a key: decoded, with its headers, its steps, and what is parked behind it."""
    session = Session(service, keep=key)
    found = [message_details(session.index, session.codec, item) for item in session.index.about(key)]
    if not found:
        raise CommandError(
            Exit.NOTHING, f"No message of {key} waits or has waited in {', '.join(session.services)}."
        )
    if json:
        print(visible_json(found))
        return
    for details in found:
        print_message(console(), details)


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
    """Try parked keys again: the dead message of each, as it is, and all messages behind it, in order."""
    wanted = filters(key, type_, error, since, until, state)
    session = Session(service)
    keys, left_out = redrivable(session.index, wanted)
    action = Action("redrive", session, keys[:limit], left_out, None, rate, url or (), wait)
    action.run(dry=dry_run, confirmed=yes, json=json)


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
    """Drop parked messages: all of a key, or its oldest; the key then goes on."""
    wanted = filters(key, type_, error, since, until, state)
    session = Session(service)
    left_out = [(i.service, i.coordinates, "a dead letter only") for i in session.index.not_parked(wanted)]
    keys = session.index.matching(wanted)[:limit]
    action = Action("discard", session, keys, left_out, count, rate, url or (), wait)
    action.run(dry=dry_run, confirmed=yes, json=json)


@app.command("skip")
def skip_(
    topic: Annotated[str, typer.Argument(help="the record's topic, without its prefix")],
    partition: Annotated[int, typer.Argument(min=0)],
    offset: Annotated[int, typer.Argument(min=0)],
    reason: Annotated[str, typer.Option("--reason", help="why; it is kept with the skip")],
    undo: Annotated[bool, typer.Option("--undo", help="end the skip")] = False,
    yes: Yes = False,
) -> None:
    """Skip a record: nothing is folded from it, and it is never decided. For records that should not be there."""
    if not reason.strip():
        raise CommandError(Exit.USAGE, "--reason must say why.")
    settings, codec = settings_and_codec()
    position = Position(topic, partition, offset)
    skip(settings, codec, position, reason.strip(), undo=undo, confirmed=yes)


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
        str | None, typer.Option(help="Kafka (default: EVENTBUS_BOOTSTRAP_SERVERS)")
    ] = None,
    topic_prefix: Annotated[
        str | None, typer.Option(help="before every topic (default: EVENTBUS_TOPIC_PREFIX)")
    ] = None,
    schemas: Annotated[
        list[str] | None,
        typer.Option(
            help="a schema package whose messages are shown decoded (repeat for more) (default: EVENTBUS_SCHEMAS)"
        ),
    ] = None,
) -> None:
    """Look into topics, send commands, and operate services built on eventbus."""
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
    except CommandError as error:
        print(visible(str(error)), file=sys.stderr)
        sys.exit(error.code)
