"""A process killed between any two steps of the processor loses nothing and does nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from eventbus.model.messages import Envelope
from eventbus.processing.ports import Step
from tests.integration.orders import PRICE, create, created, failed, order_ids
from tests.support.processes import ServiceProcess
from tests.support.system import Simulator, System
from tests.support.topic_client import by_key
from tests.support.waiting import eventually


@dataclass
class Mortal:
    """A service that kills itself after a given step."""

    system: System
    process: ServiceProcess
    file: Path

    @classmethod
    def of(cls, system: System, name: str) -> Mortal:
        file = system.directory / f"crash-{name}"
        process = system.service(name, module="tests.integration.crashing", CRASH_FILE=str(file))
        process.start().wait_ready()
        return cls(system, process, file)

    def dies_after(self, step: Step) -> None:
        """The next work brings the process to this step and no further."""
        draft = self.file.with_suffix(".draft")
        draft.write_text(step.value)
        draft.rename(self.file)

    def revive(self) -> None:
        """Await its death, then start it again on the same slot."""
        assert self.process.wait_end() == -9
        assert not self.file.exists(), "it died, but not after the given step"
        self.process.start().wait_ready()


@pytest.fixture(scope="module")
def order(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortal]:
    system = System(kafka, tmp_path_factory.mktemp("order"))
    yield Mortal.of(system, "order")
    system.close()


@pytest.fixture(scope="module")
def payment(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mortal, Simulator]]:
    system = System(kafka, tmp_path_factory.mktemp("payment"))
    simulator = system.simulator()
    yield Mortal.of(system, "payment"), simulator
    system.close()


def versions(envelopes: list[Envelope]) -> dict[str, list[int | None]]:
    found: dict[str, list[int | None]] = {}
    for envelope in envelopes:
        found.setdefault(envelope.message.key, []).append(envelope.key_version)
    return found


@pytest.mark.parametrize("step", list(Step), ids=lambda step: step.name.lower())
def test_a_decider_killed_after(order: Mortal, step: Step) -> None:
    topics, ids = order.system.topics, order_ids(30)
    order.dies_after(step)

    topics.send(*(create(i) for i in ids))
    order.revive()

    def events() -> list[Envelope]:
        found = [e for e in topics.envelopes("order.events") if e.message.key in ids]
        assert len(found) >= len(ids)
        return found

    eventually(events, "every command is decided")
    topics.send(*(create(i) for i in ids))  # what comes after the same keys shows what state they are in
    eventually(lambda: len(events()) >= 2 * len(ids), "every repeat is decided")
    decided = by_key([e.message for e in events()])
    assert decided == {i: ["OrderCreated", "CommandRepeated"] for i in ids}
    assert versions(events()) == {i: [1, 2] for i in ids}
    for i in ids:
        assert order.process.get(f"/orders/{i}").json()["version"] == 2
    assert len({e.cause for e in events()}) == 2 * len(ids)
    assert topics.read("order.dlq") == []


@pytest.mark.parametrize("step", list(Step), ids=lambda step: step.name.lower())
def test_a_reactor_killed_after(payment: tuple[Mortal, Simulator], step: Step) -> None:
    mortal, simulator = payment
    topics, ids = mortal.system.topics, order_ids(20)
    mortal.dies_after(step)

    topics.send(*(created(i) for i in ids), *(failed(i) for i in ids[:5]))
    mortal.revive()

    def events() -> list[Envelope]:
        found = [e for e in topics.envelopes("payment.events") if e.message.key in ids]
        assert len(found) >= len(ids) + 5
        return found

    eventually(events, "every order is charged, and the failed ones paid back")
    expected = {i: ["PaymentSucceeded", "PaymentRefunded"] for i in ids[:5]}
    assert by_key([e.message for e in events()]) == expected | {i: ["PaymentSucceeded"] for i in ids[5:]}
    assert simulator.doubles() == []
    moved = [(r["orderId"], r["kind"], r["amount"]) for r in simulator.record() if r["orderId"] in ids]
    assert sorted(moved) == sorted(
        [(i, "CHARGE", 2 * PRICE) for i in ids] + [(i, "REFUND", 2 * PRICE) for i in ids[:5]]
    )
    for i in ids:
        assert mortal.process.get(f"/payments/{i}").json()["version"] == len(expected.get(i, [""]))
    assert topics.read("payment.dlq") == []


def test_a_reactor_killed_while_it_calls(kafka: str, tmp_path: Path) -> None:
    system = System(kafka, tmp_path)
    try:
        simulator = system.simulator(SIMULATOR_LATENCY="700")
        (payment,) = system.start("payment")
        ids = order_ids(20)
        system.topics.send(*(created(i) for i in ids))
        eventually(lambda: simulator.calls()["charges"] >= 20, "all calls are under way")
        payment.kill()
        payment.start().wait_ready()
        eventually(
            lambda: len(system.topics.messages("payment.events")) >= len(ids), "every order is charged"
        )
        assert by_key(system.topics.messages("payment.events")) == {i: ["PaymentSucceeded"] for i in ids}
        assert simulator.doubles() == []
        assert sorted(r["orderId"] for r in simulator.record()) == sorted(ids)
    finally:
        system.close()
