"""``eventbus tail`` and ``eventbus send`` against the topics of a running service, dead letters among them."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from eventbus.cli import main
from tests.integration.faulty import UNLUCKY
from tests.integration.operator import Operator, Output
from tests.integration.orders import create, order_ids
from tests.integration.waits import Waits
from tests.support.processes import ROOT, python
from tests.support.producing import write_compressed
from tests.support.system import System
from tests.support.waiting import eventually

LUCKY_ID, UNLUCKY_ID = order_ids(2)
QUICK: dict[str, Any] = {"EVENTBUS_RETRY_BACKOFF": "0.1", "EVENTBUS_RETRY_ATTEMPTS": "1"}


def order(order_id: str, user_id: str = "anne") -> str:
    """A CreateOrder as somebody types it."""
    items = [{"productId": "cup", "quantity": 2, "unitPrice": 250}]
    return json.dumps({"orderId": order_id, "userId": user_id, "items": items, "currency": "GBP"})


@pytest.fixture(scope="module")
def system(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """An order service with a bug, that was sent an order it takes, one that meets the bug, and no message."""
    system = System(kafka, tmp_path_factory.mktemp("topics"))
    system.service("order", module="tests.integration.faulty", **QUICK).start().wait_ready()
    sent = Operator(system, {}).run(
        "send", "CreateOrder", "--wait", "10", "--json", order(LUCKY_ID), "--source", "/team/web"
    )
    first, answer = sent.out.splitlines()
    assert first.split()[1:3] == ["CreateOrder", LUCKY_ID] and first.startswith("order.commands-")
    assert "OrderCreated" in answer and answer.startswith("order.events-")
    Operator(system, {}).run("send", "CreateOrder", answer=order(UNLUCKY_ID, UNLUCKY) + "\n")
    system.topics.send_bytes("order.commands", system.topics.partition("k"), b"k", b"junk \x1b[31m", [])
    waits = Waits(system, "order")
    eventually(lambda: len(waits.all()) == 2, "the order is parked, and the junk is a dead letter")
    yield system
    system.close()


class CommandLine:
    """Runs ``eventbus`` in this process, which takes a tenth of the time of a process of its own."""

    def __init__(self, system: System, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.env = Operator(system, {}).env
        self._patch, self._capsys = patch, capsys

    def run(self, *words: str, answer: str = "", code: int = 0) -> Output:
        """Run a command, which is to end with this code; ``answer`` is its standard input."""
        for name, value in self.env.items():
            self._patch.setenv(name, value)
        self._patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(answer.encode())))
        with pytest.raises(SystemExit) as ended:
            main(words)
        printed = self._capsys.readouterr()
        output = Output(printed.out, printed.err, int(ended.value.code or 0))
        assert output.code == code, output
        return output

    def rows(self, *words: str) -> list[dict[str, Any]]:
        """What ``tail --json`` prints."""
        return [json.loads(line) for line in self.run("tail", *words, "--json").out.splitlines()]


@pytest.fixture
def eventbus(
    system: System, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    return CommandLine(system, monkeypatch, capsys)


def test_what_was_sent_is_read_with_who_sent_it_and_what_it_led_to(eventbus: CommandLine) -> None:
    [command] = eventbus.rows("order.commands", "--key", LUCKY_ID)
    assert command["source"] == "/team/web" and command["message"]["items"][0]["unitPrice"] == 250
    [event] = eventbus.rows("order.events", "--type", "OrderCreated")
    assert event["cause"] == f"order.commands-{command['partition']}-{command['offset']}"
    assert event["correlationId"] == command["id"] and event["keyVersion"] == 1
    assert event["message"]["totalAmount"] == 500
    assert eventbus.rows("order.events", "--key", LUCKY_ID) == [event]


def test_what_waits_and_what_is_dead_is_read_with_its_message_and_the_reason(eventbus: CommandLine) -> None:
    by_key = {row["key"]: row for row in eventbus.rows("order.retry")}
    parked, buried = by_key[UNLUCKY_ID], next(r for r in by_key.values() if r["failed"]["state"] == "BURIED")
    assert parked["failed"]["state"] == "DEAD" and parked["message"]["userId"] == UNLUCKY
    assert parked["failed"]["error"] == "ZeroDivisionError: a bug in a rule"
    assert buried["failed"]["record"].startswith("order.commands-")

    letters = {row["key"]: row for row in eventbus.rows("order.dlq")}
    assert letters[UNLUCKY_ID]["message"] == parked["message"]
    assert letters["k"]["message"] is None and "wire format" in letters["k"]["failed"]["error"]
    assert [r["key"] for r in eventbus.rows("order.dlq", "--key", UNLUCKY_ID)] == [UNLUCKY_ID]
    shown = eventbus.run("tail", "order.dlq").out
    assert "DEAD LETTER CreateOrder.v1" in shown and "junk \\x1b[31m" in shown and "\x1b" not in shown


def test_it_begins_where_it_is_told_and_ends_after_so_many(system: System, eventbus: CommandLine) -> None:
    partition = system.topics.partition(LUCKY_ID)
    [first] = eventbus.rows("order.commands", "--key", LUCKY_ID)
    place = f"{partition}:{first['offset']}"
    assert eventbus.rows("order.commands", "--from", place, "-n", "1") == [first]
    assert first in eventbus.rows("order.commands", "--from", "1h")
    assert first in eventbus.rows("order.commands", "--from", "beginning", "--until", "2999-01-01")
    assert eventbus.rows("order.commands", "--from", "end") == []
    assert eventbus.rows("order.commands", "--from", f"{partition}:end") == []
    nothing = eventbus.run("tail", "order.commands", "--until", "2020-01-01", code=1)
    assert nothing.err == "No record of order.commands matches.\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("order.comands",), 2, "There is no topic order.comands"),
        (("order.commands", "--from", "7:1"), 2, "--from 7:…"),
        (("order.commands", "--from", "soon"), 2, "--from soon is no place"),
        (("order.commands", "--until", "soon"), 2, "--until soon is no time"),
        (("order.commands", "--until", "1m", "--follow"), 2, "--until ends at a time"),
        (("order.commands", "--key", "nobody"), 1, "No record of order.commands matches"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(
    eventbus: CommandLine, words: tuple[str, ...], code: int, said: str
) -> None:
    ended = eventbus.run("tail", *words, code=code)
    assert said in ended.err and len(ended.err.splitlines()) == 1 and not ended.out


def test_without_kafka_it_is_one_sentence(eventbus: CommandLine) -> None:
    eventbus.env["EVENTBUS_BOOTSTRAP_SERVERS"] = "127.0.0.1:1"
    ended = eventbus.run("tail", "order.events", code=3)
    assert ended.err.startswith("Kafka does not answer at 127.0.0.1:1") and not ended.out
    assert len(ended.err.splitlines()) == 1


def test_records_of_aborted_and_open_transactions_are_left_out_unless_wanted(
    system: System, eventbus: CommandLine
) -> None:
    topics = system.topics
    value = topics.codec.encode(create("aborted"))
    producer = Producer(
        {
            "bootstrap.servers": system.settings.bootstrap_servers,
            "transactional.id": system.settings.topic("teams"),
            "log_level": 2,
        }
    )
    producer.init_transactions(10)
    # A log that nobody decides about: notification.events, whose service does not run here.
    producer.begin_transaction()
    producer.produce(system.settings.topic("notification.events"), value, b"aborted", partition=0)
    producer.flush(10)
    assert eventbus.rows("notification.events") == []
    assert len(eventbus.rows("notification.events", "--uncommitted")) == 1
    producer.abort_transaction(10)
    assert eventbus.rows("notification.events") == []
    assert [r["key"] for r in eventbus.rows("notification.events", "--uncommitted")] == ["aborted"]


def test_what_cannot_be_read_is_shown_and_what_comes_after_it_too(
    system: System, eventbus: CommandLine
) -> None:
    topics = system.topics
    place = write_compressed(topics, "stock.commands", 1, [bytes(150_000_000)])
    unknown = topics.send_bytes("stock.commands", 1, b"x", b"\0\0\0\x7f\x7fbody", [("ce_type", b"MoveStock")])

    first, second = eventbus.rows("stock.commands", "--from", "1:beginning")
    assert first["offset"] == place.offset and "the batch cannot be read" in first["problem"]
    assert second["offset"] == unknown.offset and "unknown schema id 32639" in second["problem"]
    assert second["type"] == "MoveStock"
    [found] = eventbus.rows("stock.commands", "--type", "movestock")
    assert found == second


class Following:
    """``eventbus tail -f`` in a terminal of its own; what it prints goes to a file."""

    def __init__(self, eventbus: CommandLine, folder: Path, *words: str) -> None:
        self.printed, self._said = folder / "printed", folder / "said"
        with self.printed.open("wb") as out, self._said.open("wb") as err:
            self._process = subprocess.Popen(
                python("eventbus", "tail", *words), env=eventbus.env, cwd=ROOT, stdout=out, stderr=err
            )

    def shows(self, text: str) -> None:
        """Return once it has printed this."""
        eventually(lambda: text in self.printed.read_text(), f"{text} is shown")

    def interrupt(self) -> None:
        """Ctrl-C; it ends at once, without a word."""
        self._process.send_signal(signal.SIGINT)
        assert self._process.wait(10) == 130
        assert self._said.read_text() == ""


def test_it_follows_what_comes_until_it_is_interrupted(eventbus: CommandLine, tmp_path: Path) -> None:
    following = Following(eventbus, tmp_path, "order.commands", "--follow", "--type", "CancelOrder")
    try:
        for _ in range(2):
            [order_id] = order_ids(1)
            eventbus.run("send", "CancelOrder", "--json", json.dumps({"orderId": order_id}))
            following.shows(order_id)
        assert LUCKY_ID not in following.printed.read_text()
    finally:
        following.interrupt()


def test_it_ends_once_nobody_reads_its_pipe(eventbus: CommandLine) -> None:
    words = " ".join(python("eventbus", "tail", "order.events", "--follow"))
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {words} | head -n 1"],
        env=eventbus.env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "") and "OrderCreated" in done.stdout


def test_nothing_of_an_input_is_sent_if_a_line_of_it_is_wrong(system: System, eventbus: CommandLine) -> None:
    good, other = order_ids(2)
    lines = [json.dumps({"orderId": good}), json.dumps({"orderID": other})]
    ended = eventbus.run("send", "CancelOrder", answer="\n".join(lines), code=2)
    assert "standard input, line 2: CancelOrder.orderID is no field of it" in ended.err
    dry = eventbus.run("send", "CancelOrder", "--dry-run", "--json", lines[0])
    assert dry.out.startswith(f"order.commands-{system.topics.partition(good)} CancelOrder {good} ")
    assert not [raw for raw in system.topics.read("order.commands") if raw.key == good.encode()]


def test_a_command_that_nobody_answers_in_time_says_so(eventbus: CommandLine) -> None:
    ended = eventbus.run(
        "send", "CompleteOrder", "--wait", "0.2", "--json", json.dumps({"orderId": UNLUCKY_ID}), code=4
    )
    assert ended.out.startswith("order.commands-") and "No event answers order.commands-" in ended.err


def test_a_command_that_is_too_large_is_refused_by_name(eventbus: CommandLine) -> None:
    typed = json.dumps({"orderId": "large", "reason": "x" * 2_100_000})
    ended = eventbus.run("send", "CancelOrder", answer=typed, code=2)
    assert "more than order.commands takes" in ended.err and not ended.out


def test_what_kcat_reads_is_decoded(system: System, eventbus: CommandLine) -> None:
    if shutil.which("kcat") is None:
        pytest.skip("kcat is not installed here (apt install kcat)")
    servers, topic = system.settings.bootstrap_servers, system.settings.topic("order.commands")
    read = ["kcat", "-C", "-e", "-q", "-b", servers, "-t", topic, "-f", r"%t %p %o %T %K %S\n%k%s\n"]
    printed = subprocess.run(read, capture_output=True, check=True, timeout=30).stdout
    decoded = subprocess.run(
        python("eventbus", "decode", "--json"),
        env=eventbus.env,
        cwd=ROOT,
        input=printed,
        capture_output=True,
        check=True,
        timeout=30,
    ).stdout
    found = {(row["partition"], row["offset"]): row for row in map(json.loads, decoded.splitlines())}
    expected = eventbus.rows("order.commands", "--from", "beginning")
    assert len(found) == len(expected)
    for row in expected:
        same = found[row["partition"], row["offset"]]
        for name in ("topic", "key", "schema", "message", "written"):
            assert same[name] == row[name]
