"""Seeds that are clean, and the same seed living the same life again, in any process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from eventbus.codec import Codec
from verification.sim.run import run_seed, run_seeds

SEEDS = range(200)


def test_seeds_are_clean() -> None:
    failed = [outcome for outcome in run_seeds(SEEDS) if outcome.violations]
    assert not failed, "\n".join(
        f"python -m verification.sim --seed {o.seed} --trace: {o.violations}" for o in failed
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_thousands_of_seeds_are_clean() -> None:
    failed = [outcome for outcome in run_seeds(range(5_000)) if outcome.violations]
    assert not failed, "\n".join(
        f"python -m verification.sim --seed {o.seed} --trace: {o.violations}" for o in failed
    )


def test_with_avro_instead_of_numbers_seeds_are_clean_too() -> None:
    for seed in range(25):
        assert run_seed(seed, codec=Codec("schemas")).violations == ()


def test_a_seed_gives_the_same_trace_again() -> None:
    shown: list[str] = []
    again: list[str] = []
    first, second = run_seed(7, show=shown.append), run_seed(7, show=again.append)
    assert shown == again and len(shown) > 20
    assert first == second == run_seed(7)
    assert first.digest != run_seed(8).digest


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_seed_gives_the_same_trace_in_another_process(hash_seed: str) -> None:
    code = "import sys; from verification.sim.run import run_seed; print(*[run_seed(s).digest for s in range(12)])"
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = [sys.executable, "-c", code]
    there = subprocess.run(run, env=env, capture_output=True, text=True, check=True, timeout=120)
    assert there.stdout.split() == [run_seed(seed).digest for seed in range(12)]
