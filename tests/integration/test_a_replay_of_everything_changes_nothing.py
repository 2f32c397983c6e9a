"""All groups set back to offset 0: every message is met again, and nothing changes, and nobody is called.

What was refused for want of stock is refused again, although there is plenty by now.
"""

from __future__ import annotations

import shutil

import pytest

from tests.integration.history import Shop
from tests.support.system import SERVICES, System


@pytest.mark.parametrize("state", ["kept", "deleted"])
def test_a_replay_of_everything_changes_nothing(system: System, state: str) -> None:
    shop = Shop(system)
    shop.start()
    shop.trade()
    shop.stop()
    before = shop.facts()
    assert before["record"] and before["notifications"]

    for name in SERVICES:
        assert any(system.topics.rewind(name).values())
    if state == "deleted":
        shutil.rmtree(system.settings.state_dir)
    shop.start()
    system.wait_consumed(*SERVICES)
    shop.wait_quiet()
    shop.stop()

    assert shop.facts() == before
