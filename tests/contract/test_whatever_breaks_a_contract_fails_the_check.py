"""Each way to break a contract makes ``make check`` fail, and is named with the versions and the field.

No broker. A mutation is made in a copy of the tree. What the files alone show is found in this process; what needs
the packages, and the exit status, by the program that ``make check`` calls.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.check_schemas import file_problems
from tools.schema_folders import Folder

ROOT = Path(__file__).resolve().parents[2]
ORDER = "schemas/order.events/OrderCreated.v2.avsc"
NEXT = "schemas/order.events/OrderCreated.v2.2.avsc"
MAJOR = "schemas/order.events/OrderCreated.v3.avsc"
FRAUD = "examples/fraud/fraud.events/FraudSuspected.v1.avsc"
NEW = "examples/fraud/fraud.events/FraudForgotten.v1.avsc"


class Tree:
    """A copy of what the check reads. What a test changes in it is put back after the test."""

    def __init__(self, root: Path) -> None:
        self.root, self._before = root, dict[Path, str | None]()

    def write(self, file: str, text: str | None) -> None:
        path = self.root / file
        self._before.setdefault(path, path.read_text(encoding="utf-8") if path.exists() else None)
        path.unlink(missing_ok=True) if text is None else path.write_text(text, encoding="utf-8")

    def read(self, file: str) -> Any:
        return json.loads((self.root / file).read_text(encoding="utf-8"))

    def change(self, file: str, change: Callable[[Any], None], to: str = "") -> None:
        """Change the JSON of a file, and write it there, or as another file."""
        content = self.read(file)
        before = json.dumps(content)
        change(content)
        assert to or json.dumps(content) != before, "the mutation changes nothing"
        self.write(to or file, json.dumps(content))

    def field(self, file: str, named: str, to: str = "", /, **changes: Any) -> None:
        """Change attributes of a field; None takes one away."""

        def change(schema: Any) -> None:
            [field] = [f for f in schema["fields"] if f["name"] == named]
            field.update(changes)
            for attribute in [a for a, value in changes.items() if value is None]:
                del field[attribute]

        self.change(file, change, to)

    def put_back(self) -> None:
        for path, text in self._before.items():
            path.unlink(missing_ok=True) if text is None else path.write_text(text, encoding="utf-8")
        self._before.clear()

    def folders(self) -> list[Folder]:
        paths = ("schemas", "examples/fraud", "libs/eventbus/eventbus/admin")
        return [Folder(path, self.root / path) for path in paths]

    def check(self) -> tuple[int, str]:
        """The exit status of the program, and what it prints."""
        result = subprocess.run(
            [sys.executable, "-B", "-m", "tools.check_schemas"],
            cwd=self.root,
            env={"PYTHONPATH": f"{self.root}:{self.root / 'libs' / 'eventbus'}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in result.stderr, result.stderr
        return result.returncode, result.stderr


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    copy = tmp_path_factory.mktemp("tree")
    for name in ("schemas", "libs/eventbus/eventbus", "examples", "tools"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "services.toml", copy)
    return Tree(copy)


@pytest.fixture
def tree(copied: Tree) -> Iterator[Tree]:
    yield copied
    copied.put_back()


def test_what_is_released_passes(tree: Tree) -> None:
    assert tree.check() == (0, "")


def test_words_may_be_mended(tree: Tree) -> None:
    tree.field(ORDER, "quantity", doc="How many of the product were ordered.")
    assert tree.check() == (0, "")


def no_default(tree: Tree) -> None:
    tree.field(ORDER, "currency", default=None)


def no_default_in_the_next(tree: Tree) -> None:
    tree.field(ORDER, "currency", NEXT, name="region", default=None)


def renamed(tree: Tree) -> None:
    tree.field(ORDER, "userId", name="customerId")


def renamed_in_the_next(tree: Tree) -> None:
    tree.field(ORDER, "userId", NEXT, name="customerId")


def narrowed(tree: Tree) -> None:
    tree.field(ORDER, "totalAmount", type="int")


def narrowed_in_the_next(tree: Tree) -> None:
    tree.field(ORDER, "totalAmount", MAJOR, type="int")


def widened_within_a_major_version(tree: Tree) -> None:
    tree.field(ORDER, "quantity", NEXT, type=["null", "long"])


def nested_field_gone(tree: Tree) -> None:
    def change(schema: Any) -> None:
        [items] = [f for f in schema["fields"] if f["name"] == "items"]
        items["type"]["items"]["fields"][1]["name"] = "count"

    tree.change(ORDER, change)


def another_order_of_fields(tree: Tree) -> None:
    tree.change(ORDER, lambda schema: schema["fields"].reverse())


def another_key(tree: Tree) -> None:
    tree.change(ORDER, lambda schema: schema.update(key="userId"), NEXT)


def deleted(tree: Tree) -> None:
    tree.write(ORDER.replace("v2", "v1"), None)


def another_id(tree: Tree) -> None:
    tree.change("schemas/ids.json", lambda ids: ids.update({"OrderCreated.v2": 700}))


def one_id_twice(tree: Tree) -> None:
    tree.change("schemas/released.json", lambda r: r["OrderPaid.v1"].update(id=7))
    tree.change("schemas/ids.json", lambda ids: ids.update({"OrderPaid.v1": 7}))


def one_id_in_two_folders(tree: Tree) -> None:
    tree.change("examples/fraud/released.json", lambda r: r["OrderCleared.v1"].update(id=7))
    tree.change("examples/fraud/ids.json", lambda ids: ids.update({"OrderCleared.v1": 7}))


def bad_json(tree: Tree) -> None:
    tree.write(FRAUD, '{"type": "record",')


def bad_avro(tree: Tree) -> None:
    tree.field(FRAUD, "reason", type="text")


def a_fraction(tree: Tree) -> None:
    tree.field(ORDER, "totalAmount", type="double")


def a_default_of_the_wrong_type(tree: Tree) -> None:
    tree.field(ORDER, "totalAmount", default="0")


def a_truth_value_as_a_number(tree: Tree) -> None:
    tree.field(ORDER, "totalAmount", default=True)


def another_file_name(tree: Tree) -> None:
    tree.change(ORDER, lambda _: None, "schemas/order.events/OrderCreated.v2.0.avsc")


def not_pinned(tree: Tree) -> None:
    tree.change(FRAUD, lambda schema: schema.update(name="FraudForgotten"), NEW)


def copied_by_hand(tree: Tree) -> None:
    tree.field(ORDER, "version", NEXT, default="2.2")


def golden_bytes_changed(tree: Tree) -> None:
    tree.change("schemas/golden.json", lambda g: g["OrderPaid.v1"][0].update(hex="00"))


def golden_bytes_gone(tree: Tree) -> None:
    tree.change("schemas/golden.json", lambda g: g.pop("OrderPaid.v1"))


def an_upcast_that_breaks(tree: Tree) -> None:
    text = (tree.root / "schemas/upcasts.py").read_text(encoding="utf-8")
    tree.write("schemas/upcasts.py", text.replace('record["quantity"]', 'record["pieces"]'))


def a_version_written_that_there_is_not(tree: Tree) -> None:
    tree.write("schemas/written.json", '{"OrderCreated": "OrderCreated.v4"}')


BROKEN: dict[Callable[[Tree], None], tuple[str, ...]] = {
    no_default: ("OrderCreated.v2 was released", "currency.default was 'GBP' and is None"),
    no_default_in_the_next: (
        "OrderCreated.v2.2 cannot read OrderCreated.v1: region: not written, and the reader has no default",
        "OrderCreated.v2.2 cannot read OrderCreated.v2: region: not written, and the reader has no default",
    ),
    renamed: (
        "OrderCreated.v2 cannot read OrderCreated.v1: customerId: not written",
        "the field userId is gone; the field customerId is new",
    ),
    renamed_in_the_next: (
        "OrderCreated.v2.2 cannot read OrderCreated.v2: customerId: not written",
        "OrderCreated.v2 cannot read OrderCreated.v2.2, as versions of one major number must: userId: not written",
    ),
    narrowed: ("OrderCreated.v2 was released", "totalAmount.type was 'long' and is 'int'"),
    narrowed_in_the_next: (
        "OrderCreated.v3 cannot read OrderCreated.v2: totalAmount: written as long, wanted as int",
    ),
    widened_within_a_major_version: (
        "OrderCreated.v2 cannot read OrderCreated.v2.2, as versions of one major number must: quantity: ",
    ),
    nested_field_gone: (
        "OrderCreated.v2 was released",
        "the field items.quantity is gone; the field items.count is new",
    ),
    another_order_of_fields: ("OrderCreated.v2 was released", "stand in another order"),
    another_key: ("OrderCreated.v2.2 has the key userId, OrderCreated.v2 has orderId: it must stay",),
    deleted: (
        "OrderCreated.v1 was released, and its file schemas/order.events/OrderCreated.v1.avsc is gone",
    ),
    another_id: ("OrderCreated.v2 was released", "id was 7 and is 700"),
    one_id_twice: (
        "the id 7 is that of OrderCreated.v2 (schemas/ids.json) and of OrderPaid.v1 (schemas/ids.json)",
    ),
    one_id_in_two_folders: (
        "the id 7 is that of OrderCreated.v2 (schemas/ids.json) and of OrderCleared.v1 (examples/fraud/ids.json)",
    ),
    bad_json: (f"{FRAUD} cannot be read: Expecting property name",),
    bad_avro: (f"{FRAUD}: reason: the type 'text' is none that messages have",),
    a_fraction: (f"{ORDER}: totalAmount: the type 'double' is none that messages have",),
    a_default_of_the_wrong_type: (f"{ORDER}: totalAmount: the default '0' is no long",),
    a_truth_value_as_a_number: (f"{ORDER}: totalAmount: the default True is no long",),
    another_file_name: ("OrderCreated.v2.0.avsc: 'OrderCreated.v2.0' is no version of a message",),
    not_pinned: (f"{NEW} is not pinned: run `make schema-pin`",),
    copied_by_hand: (f"{NEXT} was not made by `make schema-version`, so it would be written before",),
    golden_bytes_changed: ("schemas/golden.json: the bytes of OrderPaid.v1 are not those of its record",),
    golden_bytes_gone: ("OrderPaid.v1 was released, and schemas has no id or no golden bytes of it",),
    an_upcast_that_breaks: (
        "today's code cannot read the golden bytes of OrderCreated.v1",
        "KeyError 'pieces'",
    ),
    a_version_written_that_there_is_not: (
        "schemas/written.json: OrderCreated has no version OrderCreated.v4",
        "give one of OrderCreated.v1, OrderCreated.v2",
    ),
}


WITH_PACKAGES = (an_upcast_that_breaks, a_version_written_that_there_is_not)
BY_PROGRAM = [
    *WITH_PACKAGES,
    no_default,
    renamed_in_the_next,
    narrowed_in_the_next,
    deleted,
    bad_json,
]
ONLY_FILES = [mutate for mutate in BROKEN if mutate not in WITH_PACKAGES]


@pytest.mark.parametrize("mutate", ONLY_FILES, ids=lambda mutate: mutate.__name__)
def test_a_broken_contract_is_found_in_its_files_and_named(
    tree: Tree, mutate: Callable[[Tree], None]
) -> None:
    mutate(tree)
    said = "\n".join(file_problems(tree.folders())).replace(f"{tree.root}/", "")
    for words in BROKEN[mutate]:
        assert words in said


@pytest.mark.parametrize("mutate", BY_PROGRAM, ids=lambda mutate: mutate.__name__)
def test_a_broken_contract_ends_the_program_with_a_failure_and_is_named(
    tree: Tree, mutate: Callable[[Tree], None]
) -> None:
    mutate(tree)
    status, said = tree.check()
    assert status == 1, "nothing noticed"
    for words in BROKEN[mutate]:
        assert words in said
