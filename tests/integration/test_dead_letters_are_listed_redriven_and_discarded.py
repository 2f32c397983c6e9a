"""The dead letter workflow: list, show, redrive and discard, as an operator does them at the command line."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from eventbus.admin import Redrive
from eventbus.cli.writer import CommandWriter
from eventbus.model.places import Partition
from schemas import CompleteOrder
from tests.integration.faulty import UNLUCKY
from tests.integration.operator import Operator
from tests.integration.orders import create, created, order_ids
from tests.integration.waits import Waits
from tests.support.processes import ServiceProcess
from tests.support.system import System
from tests.support.waiting import eventually

QUICK: dict[str, Any] = {"EVENTBUS_RETRY_BACKOFF": "0.1", "EVENTBUS_RETRY_ATTEMPTS": "2"}


def unlucky(order_id: str) -> Any:
    return replace(create(order_id), user_id=UNLUCKY)


def own(system: System, log: str, key: str) -> list[tuple[str, str | None]]:
    """The events of a key, each with its cause."""
    return [(e.message.name, e.cause) for e in system.topics.envelopes(log) if e.message.key == key]


@pytest.fixture
def faulty(system: System) -> ServiceProcess:
    """The order service with a bug."""
    return system.service("order", module="tests.integration.faulty").start().wait_ready()


def stuck(system: System, *ids: str) -> None:
    """Orders that met the bug. Behind each wait a repeat and a command that comes too early."""
    waits = Waits(system, "order")
    for i in ids:
        system.topics.send(unlucky(i), unlucky(i), CompleteOrder(order_id=i))
    eventually(lambda: all(len(waits.queue(i)) == 3 for i in ids), "all are parked")


def test_what_failed_on_a_bug_goes_through_after_the_fix_as_it_is(
    system: System, faulty: ServiceProcess
) -> None:
    operator, ids, topics = Operator(system, {"order": faulty}), order_ids(3), system.topics
    stuck(system, *ids)

    rows = operator.list()
    assert {r["key"] for r in rows} == set(ids)
    for row in rows:
        assert (row["service"], row["type"], row["state"]) == ("order", "CreateOrder", "DEAD")
        assert (row["attempts"], row["behind"]) == (1, 2)
        assert row["error"] == "ZeroDivisionError: a bug in a rule"
    table = operator.dlq("list", "--error", "ZeroDivisionError").out
    assert all(i in table for i in ids) and "behind" in table
    assert operator.list("--error", "ValueError") == operator.list("--type", "OrderPaid") == []

    (first, *_) = shown = operator.dlq("show", ids[0], "--json").json
    assert [m["type"] for m in shown] == ["CreateOrder", "CreateOrder", "CompleteOrder"]
    assert first["message"]["userId"] == UNLUCKY and first["message"]["items"][0]["productId"] == "cup"
    assert {step["state"] for step in first["journey"]} == {"DEAD", "LETTER"}
    assert first["correlationId"] and "decide" in first["stacktrace"]
    assert [b.split()[0] for b in first["behind"]] == ["CreateOrder", "CompleteOrder"]
    assert "a bug in a rule" in operator.dlq("show", ids[0]).out

    dry = operator.dlq("redrive", "--dry-run", "--json").json
    assert dry["counts"] == {"fails": 3, "stays": 6}
    real = operator.dlq("redrive", "--yes", "--json", code=4).json
    assert real["counts"] == dry["counts"]
    assert topics.messages("order.events") == []

    faulty.stop()
    fixed = system.service("order").start().wait_ready()
    operator.ask({"order": fixed})
    before = topics.ends("order.events", "order.retry", "order.admin", "order.dlq")
    dry = operator.dlq("redrive", "--dry-run", "--json").json
    assert dry["counts"] == {"applies": 3, "duplicate": 3, "no longer legal": 3}
    assert operator.dlq("redrive", "--dry-run", "--json").json == dry
    assert topics.ends(*before) == before, "a dry run writes nothing"
    assert operator.dlq("redrive", answer="n\n", code=1).err.endswith("(--yes goes without asking).\n")
    assert topics.ends(*before) == before

    some = operator.dlq("redrive", "--limit", "2", "--rate", "5", "--json", answer="y\n").json
    rest = operator.dlq("redrive", "--yes", "--json").json
    assert (some["keys"], rest["keys"]) == (2, 1)
    together = {v: some["counts"][v] + rest["counts"][v] for v in some["counts"]}
    assert together == dry["counts"]
    by_key = {r["key"]: r["messages"] for r in dry["results"]}
    for result in (*some["results"], *rest["results"]):
        assert result["result"] == "done"
        ended = [(m["coordinates"], m["verdict"], m["events"]) for m in result["messages"]]
        assert ended == [(m["coordinates"], m["verdict"], m["events"]) for m in by_key[result["key"]]]
    for i in ids:
        first, second, third = (m["coordinates"] for m in by_key[i])
        assert own(system, "order.events", i) == [
            ("OrderCreated", first),
            ("CommandRepeated", second),
            ("CompleteRefused", third),
        ]

    assert operator.list() == []
    assert operator.dlq("redrive", "--yes", code=1).err == "Nothing to redrive: nothing matches.\n"
    assert len(operator.list("--state", "resolved")) == 9
    (first, *_) = operator.dlq("show", ids[0], "--json").json
    assert first["journey"][-1]["state"] == "RESOLVED" and first["message"]["userId"] == UNLUCKY


def test_redriven_twice_it_applies_once(system: System, faulty: ServiceProcess) -> None:
    (key,) = order_ids(1)
    stuck(system, key)
    faulty.stop()
    writer = CommandWriter(system.settings, system.topics.codec)
    admin = Partition("order.admin", system.topics.partition(key))
    for _ in range(3):
        writer.send(admin, Redrive(message_key=key), "/test")
    system.service("order").start().wait_ready()
    system.wait_consumed("order")
    writer.send(admin, Redrive(message_key=key, log="order.events"), "/test")
    system.wait_consumed("order")

    names = [name for name, _ in own(system, "order.events", key)]
    assert names == ["OrderCreated", "CommandRepeated", "CompleteRefused"]


def test_discarding_the_oldest_lets_the_rest_go_on(system: System, faulty: ServiceProcess) -> None:
    operator, ids = Operator(system, {"order": faulty}), order_ids(2)
    for i in ids:
        system.topics.send(unlucky(i), create(i))
    eventually(lambda: sum(r["behind"] for r in operator.list()) == 2, "both wait")

    chosen = ("discard", "--key", ids[0], "--count", "1", "--json")
    dry = operator.dlq(*chosen, "--dry-run").json
    real = operator.dlq(*chosen, "--yes").json
    assert real["counts"] == dry["counts"] == {"applies": 1, "discarded": 1}
    assert [name for name, _ in own(system, "order.events", ids[0])] == ["OrderCreated"]

    dry = operator.dlq("discard", "--dry-run", "--json").json
    real = operator.dlq("discard", "--yes", "--json").json
    assert real["counts"] == dry["counts"] == {"discarded": 2}
    assert own(system, "order.events", ids[1]) == [] == operator.list()
    assert [r["key"] for r in operator.list("--state", "DISCARDED")].count(ids[1]) == 2


def test_a_call_outside_is_foretold_by_any_replica_and_made_once(system: System) -> None:
    simulator = system.simulator()
    first, second = system.service("payment", 0, **QUICK), system.service("payment", 1, **QUICK)
    for process in (first.start(), second.start()):
        process.wait_ready()
    operator, ids, waits = Operator(system, {"payment": first}), order_ids(2), Waits(system, "payment")
    simulator.process.kill()
    for i in ids:
        system.topics.send(created(i), created(i))
    eventually(lambda: {r["state"] for r in operator.list()} == {"DEAD"}, "both are dead letters")
    eventually(lambda: all(len(waits.queue(i)) == 2 for i in ids), "with one more behind each")
    simulator.process.start().wait_ready()

    dry = operator.dlq("redrive", "--dry-run", "--json").json
    assert dry["counts"] == {"calls outside": 2, "after a call": 2}
    operator.ask({"payment": second})
    assert operator.dlq("redrive", "--dry-run", "--json").json == dry
    assert simulator.record() == [] and simulator.calls().get("charge", 0) == 0

    real = operator.dlq("redrive", "--yes", "--json").json
    assert real["counts"] == dry["counts"]
    for result in real["results"]:
        assert [(m["state"], m["events"]) for m in result["messages"]] == [
            ("RESOLVED", ["PaymentSucceeded"]),
            ("RESOLVED", []),
        ]
    assert simulator.doubles() == [] and len(simulator.record()) == 2


def test_a_key_in_flight_is_busy_and_one_that_fails_again_says_so(system: System) -> None:
    simulator = system.simulator()
    (payment,) = system.start("payment", PAYMENT_GATEWAY_TIMEOUT="30", **QUICK)
    operator, (key,) = Operator(system, {"payment": payment}), order_ids(1)
    system.topics.send(created(key, payment_method="tok_unavailable"))
    eventually(lambda: [r["state"] for r in operator.list()] == ["DEAD"], "it is a dead letter")

    again = operator.dlq("redrive", "--yes", "--json", code=4).json
    assert again["counts"] == {"calls outside": 1}
    assert again["results"][0]["messages"][0]["error"].startswith("Retryable: ")

    simulator.process.pause()
    began = time.monotonic()
    flying = operator.dlq("redrive", "--yes", "--wait", "0", "--json", code=4).json
    assert flying["results"][0]["result"] == "unfinished"
    eventually(lambda: [r["state"] for r in operator.list()] == ["REDRIVEN"], "its call is under way")
    busy = operator.dlq("redrive", "--yes", code=4)
    assert "busy: it was redriven" in busy.out
    ignored = operator.dlq("discard", "--yes", "--json", code=4).json
    assert time.monotonic() - began < 30, "the call is under way still"
    assert (ignored["results"][0]["result"], ignored["counts"]) == ("busy", {})
    simulator.process.resume()


def test_what_could_not_be_read_is_listed_and_cannot_be_redriven(system: System) -> None:
    (order,) = system.start("order")
    operator = Operator(system, {"order": order})
    place = system.topics.send_bytes("order.commands", system.topics.partition("k"), b"k", b"junk", [])
    eventually(lambda: operator.list(), "it is buried")

    (row,) = operator.list("--service", "order", "--state", "BURIED", "--since", "1h", "--key", "k")
    assert (row["state"], row["redrivable"], row["coordinates"]) == ("BURIED", False, str(place))
    assert "cannot be redriven" in operator.dlq("list").out
    assert "cannot be redriven" in operator.dlq("redrive", "--yes", code=4).out
    (shown,) = operator.dlq("show", str(place), "--json").json
    assert shown["message"]["base64"] == "anVuaw=="


def test_what_goes_wrong_is_one_sentence_and_an_exit_code(system: System, kafka: str) -> None:
    operator = Operator(system, {})
    assert operator.dlq("list").out == "Nothing waits.\n"
    for words, code, part in [
        (("list", "--service", "shipping"), 2, "inventory, notification, order, payment"),
        (("list", "--since", "soon"), 2, "--since soon is no time"),
        (("redrive", "--key", "nobody"), 1, "nothing matches"),
        (("show", "nobody"), 1, "No message of nobody"),
    ]:
        error = operator.dlq(*words, code=code).err
        assert part in error and error.count("\n") == 1, error
    operator.env["EVENTBUS_BOOTSTRAP_SERVERS"] = "127.0.0.1:9"
    error = operator.dlq("list", code=3).err
    assert error.startswith("Kafka does not answer at 127.0.0.1:9") and error.count("\n") == 1
