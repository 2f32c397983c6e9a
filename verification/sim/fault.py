"""What may go wrong in a simulation, and when."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StepFault:
    """Happens to a replica after a ``step`` that had something to do: it dies, or it freezes for ``ms``.

    ``step`` may also be a place inside the producer: "commit" (before the broker hears of it), "committed" (after,
    but the answer is lost).
    """

    step: str
    ms: int = 0

    def __str__(self) -> str:
        return f"{f'freezes for {self.ms} ms' if self.ms else 'dies'} after {self.step!r}"


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong at ``at`` (ms from the start). ``apply_faults`` knows what ``what`` means.

    ``service`` and ``slot`` name the replica, ``ms`` is a duration or a shift, ``key`` and ``name`` say which
    message a bug is about, and ``step_fault`` is what happens in the replica's next turn.
    """

    at: int
    what: str
    service: str = ""
    slot: int = 0
    ms: int = 0
    step_fault: StepFault | None = None
    key: str = ""
    name: str = ""
