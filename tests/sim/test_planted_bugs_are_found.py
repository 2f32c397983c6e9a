"""The simulator finds planted bugs; without that, clean seeds would mean nothing."""

from __future__ import annotations

import pytest

from verification.sim.__main__ import main
from verification.sim.mutants import MUTANTS
from verification.sim.run import SeedResult, run_seeds

WITHIN = 5_000
FOUND_BY = {"own_messages_overtake": 1963}
"""Seeds, beyond the first five hundred, that found a bug: tried first. Once the code has changed so that such
a seed finds it no more, the search takes a minute, and finds another to stand here."""


def found(mutant: str) -> SeedResult | None:
    """A seed that fails with a bug planted: the one that is known, or the first."""
    seeds = dict.fromkeys([FOUND_BY.get(mutant, 0), *range(WITHIN)])
    with MUTANTS[mutant]():
        return next((outcome for outcome in run_seeds(seeds) if outcome.violations), None)


@pytest.mark.parametrize("mutant", MUTANTS)
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
