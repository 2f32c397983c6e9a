"""Given / when / then for deciders.

    given(PAYMENT, PaymentSucceeded(...)).when(OrderFailed(...)).then(Refund(...))

No broker, no clock, no I/O: hundreds of these run in a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any, Generic, TypeVar

from eventbus.model.decider import DeadlinePassed, Decider, Outcome, Output
from eventbus.model.messages import Message
from eventbus.model.rules import check_definition, check_fields, check_input, check_outputs

S = TypeVar("S")


async def no_call(request: Any) -> Outcome:
    """The ``call`` of a reactor in a test of its rules, which call nobody."""
    raise AssertionError(f"a test of rules called the outside with {request}")


class Scenario(Generic[S]):
    """A decider, its state so far, and what the last message led to."""

    def __init__(
        self, decider: Decider[S], state: S, outputs: Sequence[Output] = (), key: str | None = None
    ) -> None:
        """``key``: of the entity, if a message or an event has told it already."""
        self.decider, self.state, self.outputs, self.key = decider, state, list(outputs), key

    def when(self, message: Message | Outcome) -> Scenario[S]:
        """Decide one message and fold the own events it led to.

        Raises TypeError for what the processor would refuse: an input that the decider does not take, an event of
        another log or another key, a field of the wrong type. The outcome of a call has the key of what came before
        it; where nothing did, its own events must have one key among them.
        """
        check_input(self.decider, message)
        _check_all([message])
        outputs = list(self.decider.decide(message, self.state))
        own = [o for o in outputs if isinstance(o, Message) and o.topic == self.decider.log]
        key = message.key if isinstance(message, Message | DeadlinePassed) else self.key or _key_of(own)
        check_outputs(self.decider, key, outputs)
        _check_all(outputs)
        return Scenario(self.decider, reduce(self.decider.evolve, own, self.state), outputs, key)

    def then(self, *expected: Output) -> Scenario[S]:
        """The last message led to exactly this, in this order; no arguments means to nothing."""
        assert self.outputs == list(expected), f"expected {list(expected)}, got {self.outputs}"
        return self


def _check_all(values: Iterable[Any]) -> None:
    for value in values:
        if isinstance(value, Message):
            check_fields(value)


def _key_of(events: Iterable[Any]) -> str | None:
    return next((event.key for event in events if isinstance(event, Message)), None)


def given(decider: Decider[S], *past: Any, state: S | None = None) -> Scenario[S]:
    """Start from the decider's initial state (or ``state``) with ``past`` events folded.

    Raises TypeError for a definition that the processor would refuse, and for a field of the wrong type.
    """
    check_definition(decider)
    _check_all(past)
    start = decider.initial if state is None else state
    return Scenario(decider, reduce(decider.evolve, past, start), key=_key_of(past))
