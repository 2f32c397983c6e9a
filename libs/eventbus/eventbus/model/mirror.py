"""Mirrors: events of an own log that are also written in an older version, for readers that know no other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from eventbus.model.messages import Event


@dataclass(frozen=True)
class Mirror:
    """Has the events of one class also written to a topic beside their log, in an older major version.

    Both records are written in one transaction. They have the same key, partition number and headers, ``ce_id``
    included, since they are one event (CloudEvents 1.0.2, "id"); only ``ce_dataschema``, if there is one, differs. An
    event that the older version cannot represent is left out of the mirror and counted in
    ``eventbus_unrepresentable_total``. The mirror holds no event from before it was switched on.
    """

    event: type[Event]
    major: int
    """The older major version; its first minor version is written."""

    @property
    def version(self) -> str:
        """The name of the version that is written: ``OrderCreated.v1``."""
        return f"{self.event.name}.v{self.major}"

    @property
    def topic(self) -> str:
        """The topic: the log's name and the major version, ``order.events.v1``."""
        return f"{self.event.topic}.v{self.major}"


def check_mirrors(mirrors: Iterable[Mirror], logs: Iterable[str]) -> None:
    """That each mirror is of an event of an own log, and that no event has two. Raises TypeError."""
    seen, logs = set[type[Event]](), sorted(logs)
    for mirror in mirrors:
        event = mirror.event
        if event.topic not in logs:
            raise TypeError(
                f"a mirror of {event.name}, which belongs to {event.topic}: only the owner of a log mirrors it, and "
                f"the logs here are {', '.join(logs)}"
            )
        if event in seen:
            raise TypeError(f"two mirrors of {event.name}: keep one")
        seen.add(event)
