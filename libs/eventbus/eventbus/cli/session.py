"""What one command knows before it acts: the parked keys and dead letters of the services it is about."""

from __future__ import annotations

import os
from collections.abc import Sequence

from pydantic import ValidationError

from eventbus.cli.ending import CommandError, Exit
from eventbus.cli.index import BURIED, DeadLetterIndex, Filters, ParkedKey, why_not_redrivable
from eventbus.cli.options import SCHEMAS
from eventbus.cli.reader import TopicReader
from eventbus.codec import Codec
from eventbus.processing.ports import epoch_ms
from eventbus.settings import Settings


def settings_and_codec() -> tuple[Settings, Codec]:
    """As the environment says. Raises CommandError if the environment is wrong."""
    try:
        settings = Settings()
        return settings, Codec(*os.environ.get(SCHEMAS, "").split(), write_as=settings.versions_written())
    except ValidationError as error:
        wrong = error.errors()[0]
        raise CommandError(Exit.USAGE, f"EVENTBUS_{str(wrong['loc'][0]).upper()}: {wrong['msg']}.") from error
    except ValueError as error:
        raise CommandError(Exit.USAGE, f"{SCHEMAS}, EVENTBUS_WRITE_AS: {error}.") from error


class Session:
    """A connection to Kafka, and the index of what it holds for these services. ``keep``: see DeadLetterIndex."""

    def __init__(self, services: Sequence[str] | None, keep: str | None = None) -> None:
        self.settings, self.codec = settings_and_codec()
        self.topics = TopicReader(self.settings)
        known = self.topics.services
        if unknown := sorted(set(services or ()) - set(known)):
            raise CommandError(
                Exit.USAGE,
                f"There is no service {unknown[0]} at {self.topics.servers}: it has "
                f"{', '.join(sorted(known)) or 'none'}.",
            )
        self.services = sorted(services or known)
        self.index = DeadLetterIndex(self.codec.name_of, keep)
        partitions = [p for s in self.services for p in self.topics.partitions_of(s, "retry", "dlq")]
        self.topics.read(partitions, self.index.fold)


def redrivable(index: DeadLetterIndex, wanted: Filters) -> tuple[list[ParkedKey], list[tuple[str, str, str]]]:
    """The matching keys that can be redriven; and what matches but cannot, as (service, key, reason)."""
    left_out, ready = [], []
    for key in index.matching(wanted):
        if reason := why_not_redrivable(key, epoch_ms()):
            left_out.append((key.service, key.key, reason))
        else:
            ready.append(key)
    for item in index.not_parked(wanted):
        reason = f"cannot be redriven: {item.error}" if item.state == BURIED else f"is {item.state} already"
        if item.truncated:
            reason += f" (cut to what fits; the whole record stands at {item.coordinates})"
        left_out.append((item.service, item.coordinates, reason))
    return ready, left_out
