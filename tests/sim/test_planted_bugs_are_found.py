"""The simulator finds planted bugs; without that, clean seeds would mean nothing."""

from __future__ import annotations

import pytest

from verification.sim.__main__ import main
from verification.sim.mutants import MUTANTS
from verification.sim.run import SeedResult, run_seeds

WITHIN = 5_000
LONG = ("stable_target", "hasty_takeover", "unfenced_group", "answered_again")
"""Found too, but later."""


def found(mutant: str) -> SeedResult | None:
    """The first seed that fails with a bug planted."""
    with MUTANTS[mutant]():
        return next((outcome for outcome in run_seeds(range(WITHIN)) if outcome.violations), None)


@pytest.mark.parametrize(
    "mutant", [pytest.param(m, marks=pytest.mark.slow) if m in LONG else m for m in MUTANTS]
)
@pytest.mark.timeout(1200)
def test_a_planted_bug_is_found(mutant: str) -> None:
    assert found(mutant), f"{mutant} lives on after {WITHIN} seeds"


def test_a_failing_seed_is_printed_and_fails_again_by_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--mutant", "follower_overtakes", "--seeds", "200"]) == 1
    printed = capsys.readouterr().out
    assert "overtaken: " in printed
    command = next(line for line in printed.splitlines() if line.startswith("again, with its trace: "))
    assert main(command.partition("python -m verification.sim ")[2].split()) == 1
    replayed = capsys.readouterr().out
    assert "commits" in replayed and "overtaken: " in replayed
