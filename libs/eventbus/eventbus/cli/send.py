"""``eventbus send``: commands from JSON, built by their schema and written as every other producer writes them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from eventbus.cli.described import described
from eventbus.cli.ending import CommandError, Exit, take_any_text
from eventbus.cli.json_fields import WrongJson, record_of_json
from eventbus.cli.options import SCHEMAS
from eventbus.cli.reader import TopicReader
from eventbus.cli.record_reader import RecordReader
from eventbus.cli.session import settings_and_codec
from eventbus.cli.tail import existing
from eventbus.cli.writer import CommandWriter, operator
from eventbus.codec import OPERATION, Codec
from eventbus.kafka.records import partition_of
from eventbus.model.errors import Poison
from eventbus.model.limits import MAX_KEY
from eventbus.model.messages import Command, Envelope, Message
from eventbus.model.places import Partition, Position
from eventbus.model.rules import LOG
from eventbus.processing.ports import epoch_ms
from eventbus.settings import Settings
from eventbus.visible import visible, visible_json

SOURCE = "/eventbus/send"


def send(
    name: Annotated[str, typer.Argument(metavar="COMMAND", help="which command, such as CancelOrder")],
    body: Annotated[
        str | None,
        typer.Option(
            "--json",
            help="its fields as JSON; @FILE or nothing (standard input) for several, one object a line",
        ),
    ] = None,
    source: Annotated[str, typer.Option("--source", help="who sends it, as in ce_source")] = SOURCE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only print what would be sent")] = False,
    wait: Annotated[
        float | None, typer.Option("--wait", min=0, help="seconds to wait for the event that answers each")
    ] = None,
) -> None:
    """Send commands. Events are refused: only the service that owns their topic writes them.

    All of the input is checked first: nothing is sent if any of it is wrong. What is printed is durable (acks=all).
    """
    settings, codec = settings_and_codec()
    cls = command_class(codec, name)
    commands = [command_of(codec, cls, where, text) for where, text in texts(body)]
    if not commands:
        raise CommandError(Exit.NOTHING, "Nothing was sent: there is no JSON in the input.")
    topics = TopicReader(settings)
    count = existing(topics, cls.topic)
    envelopes = [envelope_of(command, count, source) for command in commands]
    take_any_text()
    if dry_run:
        for envelope in envelopes:
            print_envelope(Partition(envelope.topic, envelope.partition), envelope)
            print(visible_json(codec.record_of(envelope.message), indent=None))
        return
    answers = None if wait is None else Answers(settings, codec, topics, commands)
    writer, sent = CommandWriter(settings, codec), list[Position]()
    for envelope in envelopes:
        sent.append(writer.write(envelope))
        print_envelope(sent[-1], envelope)
    if answers is not None and wait is not None:
        answers.show(sent, wait)


def print_envelope(place: Partition | Position, envelope: Envelope) -> None:
    """Print where a command stands, what it is, its key, and its id."""
    print(visible(f"{place} {envelope.message.name} {envelope.message.key} {envelope.id}"), flush=True)


def command_class(codec: Codec, name: str) -> type[Message]:
    """The class of a command. Raises CommandError for an event, an operator's command, and a name nobody knows."""
    classes = {cls.name: cls for cls in codec.classes() if not cls.__module__.startswith(OPERATION)}
    commands = sorted(known for known, cls in classes.items() if issubclass(cls, Command))
    cls = classes.get(name)
    if cls is None:
        near = get_close_matches(name, commands, 1)
        hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(commands) or 'none'}."
        raise CommandError(
            Exit.USAGE, f"No schema package here (--schemas, {SCHEMAS}) has a command {name}. {hint}"
        )
    if not issubclass(cls, Command):
        raise CommandError(
            Exit.USAGE,
            f"{name} is an event: only the service that owns {cls.topic} writes it. Send a command.",
        )
    return cls


def texts(body: str | None) -> Iterator[tuple[str, str]]:
    """The JSON texts of ``--json``, or of the lines of its file or standard input, each with where it stands."""
    if body is not None and not body.startswith("@") and body != "-":
        yield "--json", body
        return
    name = "standard input" if body in (None, "-") else str(body).removeprefix("@")
    if body in (None, "-") and sys.stdin.isatty():
        raise CommandError(
            Exit.USAGE, "Nothing comes in: give --json '{...}', --json @FILE, or pipe JSON lines in."
        )
    try:
        content = sys.stdin.buffer.read() if body in (None, "-") else Path(name).read_bytes()
        lines = content.decode().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(Exit.USAGE, f"{name} cannot be read: {error}.") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f"{name}, line {number}", line


def command_of(codec: Codec, cls: type[Message], where: str, text: str) -> Message:
    """The command that a JSON text says. Raises CommandError, which names each wrong field."""
    try:
        record = record_of_json(codec.schema_of(cls), json.loads(text))
        command = codec.from_record(cls, record)
        codec.encode(command)
    except WrongJson as error:
        raise CommandError(Exit.USAGE, f"{where}: {error}.") from error
    except Poison as error:
        raise CommandError(Exit.USAGE, f"{where}: {error}.") from error
    except (ValueError, RecursionError) as error:
        raise CommandError(Exit.USAGE, f"{where} is not JSON ({error}); give one object a line.") from error
    if not 0 < len(command.key.encode()) <= MAX_KEY:
        raise CommandError(
            Exit.USAGE, f"{where}: the key has {len(command.key)} characters: 1 to {MAX_KEY} bytes."
        )
    return command


def envelope_of(command: Message, partitions: int, source: str) -> Envelope:
    """A command about to be written to the partition of its key."""
    now = epoch_ms()
    partition = partition_of(command.key.encode(), partitions)
    return Envelope.from_outside(
        command.stamp(now), command.topic, partition, time=now, source=source, author=operator()
    )


class Answers:
    """Waits for the events that commands lead to: each is in the log of the service that took it, with its cause."""

    def __init__(
        self, settings: Settings, codec: Codec, topics: TopicReader, commands: Iterable[Message]
    ) -> None:
        """Look up where the logs end, before the commands are sent."""
        self._codec, self._reader = codec, RecordReader(settings)
        logs = {cls.topic for cls in codec.classes() if cls.topic.endswith(LOG)}
        keys = {command.key.encode() for command in commands}
        begin: dict[Partition, int] = {}
        for log in sorted(logs):
            if count := topics.partition_count(log):
                places = {Partition(log, partition_of(key, count)) for key in keys}
                begin |= {place: topics.bounds(place)[1] for place in places}
        self._reader.assign(begin)

    def show(self, sent: Iterable[Position], wait: float) -> None:
        """Print the first event that answers each. Raises CommandError if some are missing after ``wait`` seconds."""
        missing, until = {str(position) for position in sent}, time.monotonic() + wait
        while missing and time.monotonic() < until:
            for raw in self._reader.batch(0.05):
                if (cause := raw.extension("cause")) in missing:
                    missing.discard(cause)
                    print(described(self._codec, raw).line())
        if missing:
            raise CommandError(
                Exit.NOT_ALL,
                f"No event answers {', '.join(sorted(missing)[:3])} yet: its service does not run, or it is parked "
                "(`eventbus dlq list`). It is written and need not be sent again.",
            )
