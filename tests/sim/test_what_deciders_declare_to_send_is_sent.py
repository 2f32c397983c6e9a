"""What a decider declares to send is sent. (What it does not declare is refused, which the library's tests hold.)"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import pytest

from eventbus import Decider, Message
from eventbus.model.rules import check_outputs
from eventbus.processing import outgoing
from verification.sim.run import run_seed

SEEDS = range(40)
SERVICES = ("order", "payment", "inventory", "notification")


def test_a_few_seeds_send_all_that_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, set[type[Message]]] = defaultdict(set)

    def noting(decider: Decider[Any], key: str | None, outputs: Sequence[Any]) -> None:
        sent[decider.log] |= {type(output) for output in outputs if output.topic != decider.log}
        check_outputs(decider, key, outputs)

    monkeypatch.setattr(outgoing, "check_outputs", noting)
    assert [run_seed(seed).violations for seed in SEEDS] == [()] * len(SEEDS)

    deciders = [d for name in SERVICES for d in import_module(f"services.{name}.__main__").service().deciders]
    assert {d.log: sent[d.log] for d in deciders} == {d.log: set(d.sends) for d in deciders}
