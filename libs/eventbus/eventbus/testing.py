"""Given / when / then for deciders.

    given(PAYMENT, PaymentSucceeded(...)).when(OrderFailed(...)).then(Refund(...))

No broker, no clock, no I/O: hundreds of these run in a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, Generic, TypeVar

from eventbus.model.decider import Decider, Outcome, Output, Request
from eventbus.model.messages import Message

S = TypeVar("S")


async def no_call(request: Any) -> Outcome:
    """The ``call`` of a reactor in a test of its rules, which call nobody."""
    raise AssertionError(f"a test of rules called the outside with {request}")


class Scenario(Generic[S]):
    """A decider, its state so far, and what the last message led to."""

    def __init__(self, decider: Decider[S], state: S, outputs: Sequence[Output] = ()) -> None:
        self.decider, self.state, self.outputs = decider, state, list(outputs)

    def when(self, message: Message | Outcome) -> Scenario[S]:
        """Decide one message and fold the own events it led to."""
        outputs = list(self.decider.decide(message, self.state))
        own = [o for o in outputs if isinstance(o, Message) and o.topic == self.decider.log]
        requests = [o for o in outputs if isinstance(o, Request)]
        assert not requests or len(outputs) == 1, f"a request stands alone, got {outputs}"
        assert own or requests or not outputs, f"outputs without an own event: {outputs}"
        return Scenario(self.decider, reduce(self.decider.evolve, own, self.state), outputs)

    def then(self, *expected: Output) -> Scenario[S]:
        """The last message led to exactly this, in this order; no arguments means to nothing."""
        assert self.outputs == list(expected), f"expected {list(expected)}, got {self.outputs}"
        return self


def given(decider: Decider[S], *past: Any, state: S | None = None) -> Scenario[S]:
    """Start from the decider's initial state (or ``state``) with ``past`` events folded."""
    start = decider.initial if state is None else state
    return Scenario(decider, reduce(decider.evolve, past, start))
