"""State is a fold of the service's own log: delete it, start again, and it is the same; and nothing else happens."""

from __future__ import annotations

import shutil
import sqlite3

import pytest

from tests.integration.history import Shop
from tests.support.system import SERVICES, System


def test_a_deleted_state_directory_is_rebuilt_identical_and_emits_nothing(system: System) -> None:
    shop = Shop(system)
    shop.start()
    shop.trade()
    views = {i: shop["order"].get(f"/orders/{i}").json() for i in shop.ends}
    timelines = {i: shop["order"].get(f"/orders/{i}/events").json() for i in shop.ends}
    stock = shop["inventory"].get("/stock").json()
    shop.stop()
    before = shop.facts()

    shutil.rmtree(system.settings.state_dir)
    shop.start()

    assert {i: shop["order"].get(f"/orders/{i}").json() for i in shop.ends} == views
    assert {i: shop["order"].get(f"/orders/{i}/events").json() for i in shop.ends} == timelines
    assert shop["inventory"].get("/stock").json() == stock
    shop.wait_quiet()
    shop.stop()
    after = shop.facts()
    for name in SERVICES:
        assert before["state"][name]["states"], f"{name} has no state: the test shows nothing"
        assert after["state"][name] == before["state"][name]
    assert after == before


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE meta SET value = 'another cluster'",
        "DELETE FROM meta",
        # What the code before fold versions wrote: a hash of the source in their place.
        "UPDATE meta SET value = json_array(2, value ->> 1, value ->> 2, '5b9a40c3') WHERE name LIKE '%.events'",
    ],
)
def test_a_state_of_other_rules_or_another_cluster_is_rebuilt(system: System, damage: str) -> None:
    (inventory,) = system.start("inventory")
    system.stock(inventory, 7, "cup", "pot", "jug")
    inventory.stop()
    before = system.dump("inventory")
    with sqlite3.connect(system.database("inventory")) as db:
        db.execute(damage)
        db.execute("UPDATE stock SET available = 1000000")

    inventory.start().wait_ready()

    assert inventory.get("/stock/cup").json()["availableQty"] == 7
    inventory.stop()
    assert system.dump("inventory") == before
