"""Step 2 of the processor: from records to work items."""

from __future__ import annotations

from eventbus import metrics
from eventbus.admin import Discard, Redrive
from eventbus.headers import left_out
from eventbus.model.errors import Poison, UnknownSchema
from eventbus.model.limits import MAX_KEY
from eventbus.model.messages import Envelope
from eventbus.model.record import Raw
from eventbus.processing.context import TurnContext
from eventbus.processing.work import WorkItem


def work_items(context: TurnContext, raw: Raw) -> list[WorkItem] | Envelope:
    """What a record is to be decided for, or the Redrive or Discard that an operator sent. Raises Poison."""
    if raw.flaw:
        raise Poison(raw.flaw)
    if raw.size > context.limits.input:
        raise Poison(
            f"the record has {raw.size} bytes, more than {context.limits.input} (EVENTBUS_MAX_INPUT_BYTES)"
        )
    if raw.topic == f"{context.service}.admin":
        command = decode(context, raw)
        if not isinstance(command.message, Redrive | Discard):
            raise Poison(f"{raw.topic} takes no {command.message.name}")
        return command
    deciders = context.router.route(raw)
    if not deciders:
        return []
    try:
        envelope = decode(context, raw)
    except UnknownSchema as error:
        return [WorkItem.unread(decider, raw, _text_of_key(raw), error) for decider in deciders]
    for name in left_out(raw):
        metrics.LEFT_OUT.labels(context.service, name).inc()
    return [WorkItem.of(decider, raw, envelope) for decider in deciders]


def check_not_refused(context: TurnContext, raw: Raw) -> None:
    """Raises Poison if Kafka refused an output of this record before: it would refuse it again."""
    if raw.coordinates in context.refused:
        raise Poison(
            f"Kafka refused as too large what {raw.coordinates} leads to: is max.message.bytes of a topic lower "
            "than EVENTBUS_MAX_EVENT_BYTES or EVENTBUS_MAX_COMMAND_BYTES?"
        )


def decode(context: TurnContext, raw: Raw) -> Envelope:
    """An input record as a message with its envelope. Raises Poison; UnknownSchema only if nothing else is wrong
    with what can be seen of the record."""
    if not raw.key:
        raise Poison("the record has no key, or an empty one")
    check_not_refused(context, raw)
    expected = context.partition_of(raw.key)
    if expected != raw.partition:
        raise Poison(
            f"the record stands in partition {raw.partition}, but its key {raw.key[:MAX_KEY]!r} belongs to "
            f"{expected} (murmur2): its producer uses another partitioner"
        )
    envelope = context.codec.decode(raw)
    named = raw.header("ce_type")
    if named and named != envelope.message.name:
        raise Poison(f"ce_type says {named[:MAX_KEY]}, the body is {envelope.message.name}")
    return envelope


def _text_of_key(raw: Raw) -> str:
    try:
        return (raw.key or b"").decode()
    except UnicodeDecodeError:
        raise Poison("the key of the record is not text, so it is the key of no message") from None
