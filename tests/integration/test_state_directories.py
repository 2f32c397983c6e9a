"""Each state directory has a transactional id of its own, for as long as it exists."""

from __future__ import annotations

import shutil

import pytest

from tests.integration.orders import create, order_ids
from tests.support.system import System
from tests.support.topic_client import by_key
from tests.support.waiting import eventually


def transactional_ids(system: System) -> set[str]:
    """The service's producers, as the files of all state directories name them."""
    return {
        f"{file.parent.name}-{file.read_text().strip()}"
        for file in system.directory.rglob("order-*/identity")
    }


def test_two_state_directories_with_the_same_slot_do_not_fence_each_other(system: System) -> None:
    (one,) = system.start("order")
    other = (
        system.service("order", EVENTBUS_STATE_DIR=str(system.directory / "elsewhere")).start().wait_ready()
    )
    eventually(lambda: one.leads() > 0 and other.leads() > 0, "both lead tasks")
    ids = order_ids(40)

    system.topics.send(*(create(i) for i in ids))
    system.wait_consumed("order")

    assert by_key(system.topics.messages("order.events")) == {i: ["OrderCreated"] for i in ids}
    assert {e.partition for e in system.topics.envelopes("order.events")} == set(
        range(system.settings.partitions)
    )
    assert one.alive and other.alive, one.tail() + other.tail()
    assert len(transactional_ids(system)) == 2


@pytest.mark.parametrize("keep", [True, False], ids=["directory kept", "directory deleted"])
def test_killed_in_mid_transaction_nothing_is_lost_or_doubled(system: System, keep: bool) -> None:
    """Without its directory the successor has another id. It waits until the transaction left open has timed out."""
    hold = system.directory / "hold"
    order = system.service("order", module="tests.integration.holding", HOLD_FILE=str(hold))
    order.start(EVENTBUS_TRANSACTION_TIMEOUT="10").wait_ready()
    before, ids = transactional_ids(system), order_ids(30)
    hold.touch()
    system.topics.send(*(create(i) for i in ids))
    eventually(lambda: not system.topics.is_stable("order.events"), "a transaction is open")
    order.kill()

    if not keep:
        shutil.rmtree(system.settings.state_dir)
    order.start().wait_ready()
    system.wait_consumed("order")

    assert by_key(system.topics.messages("order.events")) == {i: ["OrderCreated"] for i in ids}
    assert [e.key_version for e in system.topics.envelopes("order.events")] == [1] * len(ids)
    assert (transactional_ids(system) == before) == keep


def test_a_volume_of_before_gets_an_identity_and_keeps_its_state(system: System) -> None:
    (order,) = system.start("order")
    (order_id,) = order_ids(1)
    system.topics.send(create(order_id))
    system.wait_consumed("order")
    order.stop()
    state, rebuilt = system.dump("order"), order.log.read_text().count("is rebuilt")
    (system.database("order").parent / "identity").unlink()

    order.start().wait_ready()

    assert order.get(f"/orders/{order_id}").json()["version"] == 1
    assert order.log.read_text().count("is rebuilt") == rebuilt
    assert system.dump("order") == state and len(transactional_ids(system)) == 1
