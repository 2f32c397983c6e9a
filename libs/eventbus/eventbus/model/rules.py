"""What a decider may take and return: one definition, for the processor and for the tests of a decider.

Each function raises TypeError, with the names of what is wrong. A wrong definition ends the process at its start.
Wrong outputs make a dead letter of their message.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from eventbus.model.decider import Decider, Outcome, Request
from eventbus.model.messages import INT64, Event, Message, Range

LOG = ".events"
"""How the name of an event log ends. No other topic's name ends so."""
_OWNED = re.compile(r"\.events(\.v[0-9]+)?$")


def has_one_writer(topic: str) -> bool:
    """Whether a topic is an event log or a mirror of one: its owner alone writes it, and it is kept for ever."""
    return _OWNED.search(topic) is not None


def check_definition(decider: Decider[Any]) -> None:
    """That the log is an event log, that inputs and what is sent are bound message classes, settling ones among the
    inputs, and that nothing is sent to the log of another."""
    if not decider.log.endswith(LOG):
        raise TypeError(f"the log {decider.log} of a decider must end in {LOG}")
    for cls in (*decider.inputs, *decider.settling):
        if not _is_message_class(cls):
            raise TypeError(f"{decider.log}: the input {cls!r} is no message class with @message(topic=...)")
    for cls in decider.settling:
        if cls not in decider.inputs:
            raise TypeError(f"{decider.log}: {cls.name} is settling, but it is not among the inputs")
    check_sends(decider.log, decider.sends)


def check_sends(sender: str, sends: Sequence[Any]) -> None:
    """That what ``sender`` declares to send are bound message classes for topics that are nobody's log."""
    for cls in sends:
        if not _is_message_class(cls):
            raise TypeError(f"{sender}: it sends {cls!r}, which is no message class with @message(topic=...)")
        if has_one_writer(cls.topic):
            raise TypeError(f"{sender}: {cls.name} belongs to {cls.topic}, which only its owner writes")


def check_sent(sender: str, sends: Sequence[type[Message]], message: Message) -> None:
    """That ``sender`` declares to send such messages."""
    if type(message) not in sends:
        raise TypeError(f"{sender}: it does not declare that it sends {message.name}: name it in sends=(...)")


def _is_message_class(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Message) and hasattr(value, "topic")


def check_input(decider: Decider[Any], message: Message | Outcome) -> None:
    """That the decider takes such messages."""
    if isinstance(message, Message) and type(message) not in decider.inputs:
        taken = ", ".join(sorted(cls.name for cls in decider.inputs))
        raise TypeError(f"{decider.log}: {message.name} is not among the inputs ({taken})")


def check_outputs(decider: Decider[Any], key: str | None, outputs: Sequence[Any]) -> None:
    """What ``decide`` returned for an input of this key (None: not known).

    It is nothing, or one request, or messages with at least one event of the own log. Such an event has the key of
    its input: state, versions and order of the log go by that key. Nobody writes to the log of another. What goes to
    any other topic is declared in ``sends``.
    """
    if any(isinstance(output, Request) for output in outputs):
        if len(outputs) > 1:
            raise TypeError(f"a request stands alone, but {decider.log} decided {list(outputs)}")
        return
    for output in outputs:
        if not isinstance(output, Message):
            raise TypeError(f"{decider.log}: {output!r} is neither a message nor a request")
        if output.topic != decider.log:
            if has_one_writer(output.topic):
                raise TypeError(
                    f"{decider.log}: {output.name} belongs to {output.topic}, which only its owner writes"
                )
            check_sent(decider.log, decider.sends, output)
            continue
        if not isinstance(output, Event):
            raise TypeError(f"{decider.log}: {output.name} is no Event, and a log holds events only")
        if key is not None and output.key != key:
            raise TypeError(
                f"{decider.log}: {output.name} has the key {output.key!r}, but its input has the key {key!r}"
            )
    if outputs and not any(output.topic == decider.log for output in outputs):
        raise TypeError(f"{decider.log}: outputs without an own event leave no trace: {list(outputs)}")


def check_fields(value: Any, where: str = "") -> None:
    """That each field of a message, and of the records in it, has a value of the type that its class declares.

    Types are exact, as a reader gets them: no ``bool`` for an ``int``, no number beyond its range, no text that UTF-8
    cannot hold. Only a subclass of ``str`` passes for its text.
    """
    where = where or type(value).__name__
    for name, hint in field_types(value.__class__).items():
        check(getattr(value, name), hint, f"{where}.{name}")


@lru_cache(maxsize=1_000)
def field_types(cls: Any) -> dict[str, Any]:
    """The declared type of each field of a dataclass; an :data:`Int32` with its range."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def range_of(hint: Any) -> Range | None:
    """The range of the whole numbers that a field of this type holds; None for any other type."""
    if hint is int:
        return INT64
    return next((one for one in getattr(hint, "__metadata__", ()) if isinstance(one, Range)), None)


def check(value: Any, hint: Any, where: str) -> None:
    """That a value is of the type that a field declares; ``where`` names it."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if (limits := range_of(hint)) is not None:
        _require(type(value) is int, "int", value, where)
        if not limits.low <= value <= limits.high:
            raise TypeError(f"{where} must be from {limits.low} to {limits.high}, not {value!r:.100}")
    elif origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return
        [hint, *others] = [a for a in arguments if a is not type(None)]
        if not others:  # unions of several types are left to Avro
            check(value, hint, where)
    elif origin is tuple:
        _require(type(value) is tuple, "tuple", value, where)
        for index, one in enumerate(value):
            check(one, arguments[0], f"{where}[{index}]")
    elif dataclasses.is_dataclass(hint) and isinstance(hint, type):
        _require(type(value) is hint, hint.__name__, value, where)
        check_fields(value, where)
    elif hint is str:
        _require(isinstance(value, str), "str", value, where)
        try:
            value.encode()
        except UnicodeEncodeError:
            raise TypeError(f"{where} must be text that UTF-8 can hold, not {value!r:.100}") from None
    elif isinstance(hint, type):
        _require(type(value) is hint, hint.__name__, value, where)


def _require(holds: bool, wanted: str, value: Any, where: str) -> None:
    if not holds:
        raise TypeError(f"{where} must be {wanted}, not {type(value).__name__} ({value!r:.100})")
