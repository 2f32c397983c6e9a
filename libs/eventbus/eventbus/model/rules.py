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
from eventbus.model.messages import Event, Message

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
    """That each field of a message, and of the records in it, has a value of the type that its class declares."""
    where = where or type(value).__name__
    for name, hint in _hints(value.__class__).items():
        _check(getattr(value, name), hint, f"{where}.{name}")


@lru_cache(maxsize=1_000)
def _hints(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _check(value: Any, hint: Any, where: str) -> None:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return
        [hint, *others] = [a for a in arguments if a is not type(None)]
        if others:
            return  # unions of several types are left to Avro
        _check(value, hint, where)
    elif origin is tuple:
        if not isinstance(value, tuple):
            raise TypeError(f"{where} must be tuple, not {type(value).__name__} ({value!r:.100})")
        for index, one in enumerate(value):
            _check(one, arguments[0], f"{where}[{index}]")
    elif dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, hint):
            raise TypeError(f"{where} must be {hint.__name__}, not {type(value).__name__} ({value!r:.100})")
        check_fields(value, where)
    elif isinstance(hint, type) and (
        not isinstance(value, hint) or (hint is int and isinstance(value, bool))
    ):
        raise TypeError(f"{where} must be {hint.__name__}, not {type(value).__name__} ({value!r:.100})")
