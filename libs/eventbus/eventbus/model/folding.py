"""Folding: the state of a key is what its decider makes of its events, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from eventbus.model.decider import Decider
from eventbus.model.errors import NeedsRestart
from eventbus.model.messages import Envelope
from eventbus.model.requests import Answered, RequestId

S = TypeVar("S")
RULES = 1
"""Raise it when records that counted as foreign until now may be events, such as by a new name of a header: a
partition of which something was passed over under other rules is then folded anew."""


class Folded(NamedTuple, Generic[S]):
    """The state of one key after ``version`` events. ``answered``: the highest offset decided, by input topic; and of
    each request that is remembered, by the id of its command, the version of its first event."""

    state: S
    version: int = 0
    updated_at: int = 0
    answered: Mapping[str, int] = {}

    def has_answered(self, topic: str, offset: int) -> bool:
        """Whether an event of this key was caused by that offset of that topic, or by a later one."""
        return self.answered.get(topic, -1) >= offset

    def answer_to(self, request: str) -> Answered | None:
        """The first answer to a request, whatever was asked for there; None if it is not remembered."""
        ids = ((RequestId.parse(name), version) for name, version in self.answered.items())
        found = [Answered(i.fingerprint, version) for i, version in ids if i and i.request == request]
        return min(found, key=lambda answer: answer.version, default=None)


@dataclass(frozen=True)
class Entry(Generic[S]):
    """What a read gives: the state of one key, its version (events so far), and when it last changed (ms)."""

    key: str
    version: int
    state: S
    updated_at: int


def fold(decider: Decider[S], folded: Folded[S], event: Envelope) -> Folded[S]:
    """One own event more. An event seen before changes nothing. Raises NeedsRestart if one is missing before it."""
    version = event.key_version or 0
    if version <= folded.version:
        return folded
    if version != folded.version + 1:
        raise NeedsRestart(
            f"{event.position}: event {version} of {event.message.key} follows event {folded.version}, "
            "an event between them is missing"
        )
    answered = dict(folded.answered)
    if event.cause:
        topic, _, offset = event.cause.rsplit("-", 2)
        answered[topic] = max(int(offset), answered.get(topic, -1))
    if len(answered) < decider.remembered_requests and (request := RequestId.parse(event.causation_id)):
        answered.setdefault(str(request), version)
    return Folded(decider.evolve(folded.state, event.message), version, event.time, answered)
