"""What can go wrong, as a tree.

EventBusError
├── Retryable          may pass by itself; the same call may be repeated
│   └── Unavailable    Kafka (or this replica's view of it) is away: HTTP answers 503 with Retry-After
├── Poison             will never pass: the message is a dead letter, and parks its key
│   ├── Mismatch       contradicts what was asked for: a dead letter that parks nothing
│   ├── UnknownSchema  this code cannot read it, but newer code may: parked until that code runs here
│   └── Unrepresentable  the older version that is to be written cannot say it
└── ProcessMustEnd     this process cannot go on
    ├── Fenced         another process has its slot, or its producer's epoch is over
    ├── NeedsRestart   a fresh process can: the supervisor starts one
    └── Misconfigured  no process can, until a person changes the configuration
"""

from __future__ import annotations


class EventBusError(Exception):
    """Root of all errors this library raises on purpose."""


class Retryable(EventBusError):
    """The reason may pass: a timeout, a refused connection, a dependency that answers 5xx."""


class Unavailable(Retryable):
    """Kafka does not answer, or this replica cannot yet say: ask again in a moment."""


class Poison(EventBusError):
    """No repetition will help: undecodable bytes, a wrong partition, a key that is not the body's id."""


class Mismatch(Poison):
    """A report that contradicts what was asked for, such as another amount. The genuine one may still come.

    Raised by ``decide``: the message becomes a dead letter, and later messages of its key go on.
    """


class UnknownSchema(Poison):
    """A value in the wire format whose schema id this code does not know. Newer code may know it.

    So the message is not lost: it parks its key, and a redrive by code that knows the schema decides it.
    """


class Unrepresentable(Poison):
    """A message says what the older version of its schema, in which it is to be written, cannot say.

    Raised by a downcast, with the reason: an order of three items has no version 1.
    """


class ProcessMustEnd(EventBusError):
    """This process cannot go on. Nothing is lost: whatever it had not committed is read again."""


class Fenced(ProcessMustEnd):
    """Another process has this one's slot, or the epoch of its producer is over: it may not write any more."""


class NeedsRestart(ProcessMustEnd):
    """What this process holds cannot be used any more; a fresh process builds it anew from the logs."""


class Misconfigured(ProcessMustEnd):
    """The configuration contradicts itself or the cluster. The message says what to change."""
