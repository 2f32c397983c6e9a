"""What one command has read from Kafka before it acts: the dead letters, and what waits."""

from __future__ import annotations

import os
from collections.abc import Sequence

from pydantic import ValidationError

from eventbus.cli.ending import CommandError, Exit
from eventbus.cli.index import BURIED, DeadLetterIndex, Filters, ParkedKey, why_not
from eventbus.cli.options import SCHEMAS, now
from eventbus.cli.reader import TopicReader
from eventbus.codec import Codec
from eventbus.settings import Settings


def connected() -> tuple[TopicReader, Codec]:
    """Kafka, as the environment says. Raises CommandError if it is away, or the environment is wrong."""
    try:
        codec, settings = Codec(*os.environ.get(SCHEMAS, "").split()), Settings()
    except ValidationError as error:
        wrong = error.errors()[0]
        raise CommandError(Exit.USAGE, f"EVENTBUS_{str(wrong['loc'][0]).upper()}: {wrong['msg']}.") from error
    except ValueError as error:
        raise CommandError(Exit.USAGE, f"{SCHEMAS}: {error}.") from error
    return TopicReader(settings, codec), codec


class Session:
    """Kafka, and what waits there, as read for one command."""

    def __init__(self, services: Sequence[str] | None, keep: str | None = None) -> None:
        self.topics, self.codec = connected()
        known = self.topics.services
        if unknown := sorted(set(services or ()) - set(known)):
            raise CommandError(
                Exit.USAGE,
                f"There is no service {unknown[0]} at {self.topics.where}: it has "
                f"{', '.join(sorted(known)) or 'none'}.",
            )
        self.services = sorted(services or known)
        self.board = DeadLetterIndex(self.codec.name_of, keep)
        parts = [part for s in self.services for part in self.topics.parts(s, "retry", "dlq")]
        self.topics.read(parts, self.board.take)


def redrivable(board: DeadLetterIndex, wanted: Filters) -> tuple[list[ParkedKey], list[tuple[str, str, str]]]:
    """The keys chosen that can be redriven; and those that cannot, with the reason."""
    left_out, ready = [], []
    for queue in board.chosen(wanted):
        if reason := why_not(queue, now()):
            left_out.append((queue.service, queue.key, reason))
        else:
            ready.append(queue)
    for item in board.single(wanted):
        reason = f"cannot be redriven: {item.error}" if item.state == BURIED else f"is {item.state} already"
        if item.truncated:
            reason += f" (cut to what fits; the whole record stands at {item.coordinates})"
        left_out.append((item.service, item.coordinates, reason))
    return ready, left_out
