"""The catalogue says who writes and reads which message, and shows every field, as the code declares them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from eventbus import Decider, Service
from eventbus.cli.creation import load
from schemas import OrderPaid
from tests.support.processes import run_python
from tools import registry
from tools.catalogue import headers
from tools.catalogue import system as systems
from tools.catalogue.contract import contracts_of
from tools.catalogue.fields import changes, fields
from tools.catalogue.flow import flowchart
from tools.catalogue.markdown import code, plain
from tools.catalogue.page import page
from tools.catalogue.system import Party, System
from tools.registry import BY_NAME, ROOT, SERVICES

SYSTEM = System.load()
PAGE = (ROOT / "docs" / "reference" / "catalogue.md").read_text()
FILES = sorted(
    path
    for package in (*registry.SCHEMAS, "libs.eventbus.eventbus.admin")
    for path in ROOT.joinpath(*package.split(".")).glob("*/*.avsc")
)


def declared() -> Iterator[tuple[Service, Decider[Any]]]:
    """The deciders of all services, from their own wiring."""
    for entry in SERVICES:
        service = import_module(f"{entry.package}.__main__").service()
        for decider in service.deciders:
            yield service, decider


def section(heading: str) -> str:
    """What stands on the page below a heading, up to the next one."""
    return re.split(r"^#+ ", PAGE.partition(f"\n{heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.stem))
def test_every_version_is_linked_with_its_id_and_every_field_of_the_latest_has_a_row(path: Path) -> None:
    schema = json.loads(path.read_text())
    ids = json.loads((path.parents[1] / "ids.json").read_text())
    text = section(f"### {schema['name']}")
    assert f"[{path.stem}](../../{path.relative_to(ROOT).as_posix()}), id {ids[path.stem]}" in text
    if f"{schema['kind'].capitalize()} [{path.stem}]" in text:
        rows = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
        assert rows == [field.path for field in fields(schema)] and len(rows) >= len(schema["fields"])


def test_who_reads_a_message_is_who_takes_it() -> None:
    for contract in SYSTEM.contracts:
        takers = {Party(s.name, d.log) for s, d in declared() if contract.cls in d.inputs}
        assert set(SYSTEM.readers(contract)) == takers, contract.name


def test_who_writes_a_message_is_its_owner_or_who_declares_to_send_it() -> None:
    written = {contract.name: set(SYSTEM.writers(contract)) for contract in SYSTEM.contracts}
    for service, decider in declared():
        for contract in SYSTEM.contracts:
            writes = contract.cls.topic == decider.log or contract.cls in decider.sends
            assert (Party(service.name, decider.log) in written[contract.name]) == writes, contract.name
            assert (Party(service.name) in written[contract.name]) == (contract.cls in service.sends)


def test_the_picture_has_an_arrow_for_each_topic_from_a_writer_to_a_reader_and_no_other() -> None:
    chart = flowchart(SYSTEM)
    assert f"```mermaid\n{chart}```" in PAGE
    arrows = set(re.findall(r'^    (\w+) -->\|"([\w.]+)"\| (\w+)$', chart, re.MULTILINE))
    wanted = set()
    for _, decider in declared():
        taker = f"decider_{decider.log.replace('.', '_')}"
        for cls in decider.inputs:
            for other, writer in declared():
                if cls.topic == writer.log or cls in writer.sends:
                    wanted.add((f"decider_{writer.log.replace('.', '_')}", cls.topic, taker))
                if cls in other.sends:
                    wanted.add((f"http_{other.name}", cls.topic, taker))
    assert arrows == wanted
    nodes = set(re.findall(r'^ +(\w+)(?:\[|\(\[)"', chart, re.MULTILINE))
    assert {end for arrow in arrows for end in (arrow[0], arrow[2])} <= nodes


SHOP = {"order", "payment", "inventory", "notification"}
"""The services of the architecture page. The catalogue has those that are made later, too."""


def test_the_architecture_page_names_the_topics_and_messages_that_the_code_has() -> None:
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    table = re.findall(r"^\| `([a-z.]+)` \| (\w+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    rows = {topic: (key, writers, carries, kept) for topic, key, writers, carries, kept in table}
    started = [entry for entry in SYSTEM.services if entry.entry.name in SHOP]
    known = {decider.log for wired in started for decider in wired.service.deciders}
    known |= {cls.topic for wired in started for cls in wired.declared()}
    assert set(rows) == known
    for topic, (key, writers, carries, kept) in rows.items():
        contracts = {contract.name: contract for contract in SYSTEM.carried(topic)}
        assert set(re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", carries)) <= set(contracts), topic
        assert {contract.latest.schema["key"] for contract in contracts.values()} == {key}
        assert {party.service for party in SYSTEM.topic_writers(topic)} & SHOP <= set(
            re.findall(r"\w+", writers)
        )
        assert (SYSTEM.topics[topic].config["retention.ms"] == "-1") == (kept == "for ever")


def changed(monkeypatch: pytest.MonkeyPatch, name: str, change: Callable[[Service], Service]) -> System:
    """The system with another wiring of one service."""
    monkeypatch.setattr(
        systems, "load", lambda text: change(load(text)) if text == BY_NAME[name].wiring else load(text)
    )
    return System.load()


def test_what_a_service_declares_anew_changes_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def also_paid(service: Service) -> Service:
        [decider] = service.deciders
        return replace(service, deciders=(replace(decider, inputs=(*decider.inputs, OrderPaid)),))

    other = page(changed(monkeypatch, "notification", also_paid))
    assert other != page(SYSTEM)
    assert "- Read by: no service" in section("### OrderPaid")
    assert "- Read by: notification" in other.partition("\n### OrderPaid\n")[2].partition("\n### ")[0]


def test_the_environment_changes_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ORDER_WATCHED": "nobody",
        "EVENTBUS_PARTITIONS": "7",
        "EVENTBUS_TOPIC_PREFIX": "test.",
        "EVENTBUS_V1_TOPICS": "0",
    }.items():
        monkeypatch.setenv(name, value)
    assert page(System.load()) == page(SYSTEM)
    assert os.environ["ORDER_WATCHED"] == "nobody", "it is put back"


def test_a_message_that_is_in_no_schema_package_of_its_service_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"fraud takes or sends schemas\.messages\.OrderCreated, which is in none"
    ):
        System.load([replace(BY_NAME["fraud"], schemas=("examples.fraud",))])


def test_a_schema_whose_topic_no_service_has_is_named() -> None:
    with pytest.raises(ValueError, match=r"schemas/\S+\.avsc: no service of the registry writes or reads"):
        System.load([BY_NAME["payment"]])


def test_logs_of_the_registry_that_the_deciders_do_not_write_are_named() -> None:
    others = [service for service in SERVICES if service.name != "payment"]
    wrong = replace(BY_NAME["payment"], logs=("payments.events",))
    with pytest.raises(
        ValueError, match=r"\[payment\]: its service\(\) is named payment and writes payment.events"
    ):
        System.load([*others, wrong])


def test_a_topic_of_another_system_that_is_read_here_is_shown_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the inventory service, its events come from elsewhere."""
    rest = [service for service in SERVICES if service.name != "inventory"]
    monkeypatch.setattr(
        systems,
        "contracts_of",
        lambda package: [
            contract
            for contract in contracts_of(package)
            if not contract.cls.topic.startswith(("stock.", "inventory.answers"))
        ],
    )
    text = page(System.load(rest))
    row = "| [`inventory.events`](#inventoryevents) | `orderId` | no service | order, notification |"
    assert f"{row} as its owner says |" in text


def test_a_header_without_words_and_words_without_a_header_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for wrong in (
        {**headers.MESSAGE, "ce_more": "More."},
        {k: v for k, v in headers.MESSAGE.items() if k != "ce_id"},
    ):
        monkeypatch.setattr(headers, "MESSAGE", wrong)
        with pytest.raises(ValueError, match=r"ce_more|ce_id"):
            headers.of_messages()


RECORD = {
    "type": "record",
    "name": "Order",
    "doc": "An order.",
    "topic": "o.events",
    "key": "id",
    "kind": "event",
}


def order(*more: dict[str, Any]) -> dict[str, Any]:
    return {**RECORD, "fields": [{"name": "id", "type": "string", "doc": "The order."}, *more]}


ITEM = {
    "type": "record",
    "name": "Item",
    "fields": [{"name": "price", "type": "long", "doc": "Minor units."}],
}


@pytest.mark.parametrize(
    ("older", "newer", "said"),
    [
        (order(), order(), []),
        (order(), order({"name": "note", "type": "string", "default": ""}), ["It adds `note`."]),
        (order({"name": "note", "type": "string", "default": ""}), order(), ["It takes away `note`."]),
        (
            order({"name": "n", "type": "int", "default": 0}),
            order({"name": "n", "type": ["null", "long"], "default": None}),
            [
                "The type of `n` is long or null, before it was int.",
                "The default of `n` is `null`, before it was `0`.",
            ],
        ),
        (
            order(),
            order({"name": "items", "type": {"type": "array", "items": ITEM}, "default": []}),
            ["It adds `items`."],
        ),
        (
            order({"name": "n", "type": "int", "doc": "Before."}),
            order({"name": "n", "type": "int", "doc": "After.", "default": 1}),
            ["The default of `n` is `1`, before it was none."],
        ),
    ],
)
def test_what_a_version_changed_is_told(
    older: dict[str, Any], newer: dict[str, Any], said: list[str]
) -> None:
    assert changes(older, newer) == said


def test_fields_of_records_inside_are_told_with_their_place() -> None:
    schema = order(
        {"name": "items", "type": {"type": "array", "items": ITEM}},
        {"name": "gift", "type": ["null", {**ITEM, "name": "Gift"}], "default": None},
        {"name": "rates", "type": {"type": "map", "values": "double"}},
        {"name": "size", "type": {"type": "enum", "name": "Size", "symbols": ["S", "L"]}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}, "default": 0},
    )
    assert [(field.path, field.type, field.default) for field in fields(schema)] == [
        ("id", "string", None),
        ("items", "array of Item", None),
        ("items[].price", "long", None),
        ("gift", "Gift or null", "null"),
        ("gift.price", "long", None),
        ("rates", "map of double", None),
        ("size", "one of S, L", None),
        ("at", "long (timestamp-millis)", "0"),
    ]


def test_words_of_a_schema_are_shown_as_they_are() -> None:
    assert plain("a | b\n<img src=x> *c* `d` [e](f) &amp; $g$ ~h~ \\") == (
        r"a \| b \<img src=x\> \*c\* \`d\` \[e\](f) \&amp; \$g\$ \~h\~ " + "\\\\"
    )
    assert (code('"a|b"'), code("a`b"), code("``")) == (r'`"a\|b"`', "`` a`b ``", "``` `` ```")


def test_where_a_service_begins_is_told_if_it_is_not_the_oldest_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = page(changed(monkeypatch, "payment", lambda service: replace(service, start_from="now")))
    [told] = set(other.splitlines()) - set(PAGE.splitlines())
    assert told.startswith("| payment |") and "It begins in the logs of others at `now`." in told


def test_a_process_with_other_hashes_writes_the_same() -> None:
    """The order of what is listed is no order of a set."""
    code = "from tools.reference import pages; p = pages(); print(p['catalogue.md'] + p['asyncapi.json'], end='')"
    done = run_python(["-c", code], {"PYTHONHASHSEED": "7", "PYTHONIOENCODING": "utf-8"})
    written = PAGE + (ROOT / "docs" / "reference" / "asyncapi.json").read_text()
    assert done.stdout == written, done.stderr
