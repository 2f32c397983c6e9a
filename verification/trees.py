"""Code of the next release: copies of this repository in which messages have a new version.

A rolling upgrade needs two states of the code that run at the same time. ``next_release`` makes both that follow
today's: one that knows the new versions and still writes the old ones (*held*), and one that writes the new ones
(*released*).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from eventbus.model.versions import Version
from tools.stack.settings import ROOT

CODE = ("libs/eventbus/eventbus", "schemas", "services", "examples", "tools", "verification", "services.toml")
"""What the services and their tools need of the repository."""


class Edit(NamedTuple):
    """Replace the only occurrence of a text in a file."""

    file: str
    before: str
    after: str


@dataclass(frozen=True, eq=False)
class Change:
    """A new version of a message, or a new message, and the code that fills it."""

    message: str
    """Topic and name: ``order.events/OrderConfirmed``."""
    field: Any
    """The field, as in a schema, that the new version has beyond the latest one; None if the message is new."""
    edits: tuple[Edit, ...] = ()
    """Of the held code and of the released code."""
    release: tuple[Edit, ...] = ()
    """Of the released code only."""


def text(name: str, doc: str) -> dict[str, str]:
    """A field that holds a text, empty by default."""
    return {"name": name, "type": "string", "default": "", "doc": doc}


FOLD = Edit("services/order/decider.py", "fold_version=", "fold_version=1 + ")
"""A new field is in the timeline of each order, so the same log folds to something else."""
OWN_EVENT = Change(
    "order.events/OrderConfirmed",
    text("note", "What the customer is told."),
    (
        Edit(
            "services/order/reports.py",
            "OrderConfirmed(\n",
            'OrderConfirmed(\n                note="thank you",\n',
        ),
        Edit(
            "services/order/state.py",
            "    allowed_at: int = 0\n",
            '    allowed_at: int = 0\n    note: str = ""\n',
        ),
        Edit(
            "services/order/state.py",
            "status=Status.CONFIRMED, allowed_at=event.timestamp",
            "status=Status.CONFIRMED, allowed_at=event.timestamp, note=event.note",
        ),
        FOLD,
    ),
)
"""An event that order alone writes and folds."""
FOREIGN_EVENT = Change(
    "order.events/OrderCreated",
    text("channel", "Where the customer ordered."),
    (
        FOLD,
        Edit(
            "services/order/decider.py",
            "OrderCreated(\n        order_id=",
            'OrderCreated(\n        channel="web",\n        order_id=',
        ),
    ),
)
"""An event that the other services read."""
COMMAND = Change(
    "order.commands/CreateOrder",
    text("channel", "Where the customer orders."),
    (
        Edit(
            "services/order/create_order.py",
            "CreateOrder(\n        order_id=",
            'CreateOrder(\n        channel="web",\n        order_id=',
        ),
    ),
)
"""A command that the API of any replica writes and the leader of its task reads."""
NEW_EVENT = Change(
    "order.events/OrderThanked",
    None,
    (Edit("verification/audit/orders.py", "ANSWERS = (", 'ANSWERS = ("OrderThanked", '),),
    (
        Edit(
            "services/order/reports.py",
            "    OrderShipped,\n    PaymentFailed,",
            "    OrderShipped,\n    OrderThanked,\n    PaymentFailed,",
        ),
        Edit(
            "services/order/reports.py",
            "contact=order.contact,\n            )\n        ]",
            "contact=order.contact,\n            ),\n            OrderThanked(order_id=report.key),\n        ]",
        ),
    ),
)
"""An event of a type that older code does not know."""
CHANGES = (OWN_EVENT, FOREIGN_EVENT, COMMAND)


class Release(NamedTuple):
    """The two steps of a release, each the folder of a code tree."""

    held: Path
    """Reads the new versions, writes the old ones."""
    released: Path
    """Writes the new versions."""


def next_release(folder: Path, changes: Iterable[Change] = CHANGES) -> Release:
    """Make both trees below ``folder``. Raises ValueError if an edit does not fit today's code."""
    changes = tuple(changes)
    held = copy_of_today(folder / "held")
    _add_versions(held, changes)
    for change in changes:
        _edit(held, change.edits)
    released = folder / "released"
    shutil.copytree(held, released)
    _release(released, {change.message.split("/")[1] for change in changes})
    for change in changes:
        _edit(released, change.release)
    return Release(held, released)


def new_ids(release: Release) -> set[int]:
    """The ids of the schemas that today's code does not know."""
    ids = [json.loads((tree / "schemas" / "ids.json").read_text()) for tree in (release.released, ROOT)]
    return set(ids[0].values()) - set(ids[1].values())


def copy_of_today(into: Path) -> Path:
    """A copy of the code as it stands in this repository; returns its folder."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in CODE:
        source, target = ROOT / name, into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=ignored)
        else:
            shutil.copy(source, target)
    # they hold what today's folds make of each event: the next release would have to record them anew
    for recordings in into.glob("services/*/recordings"):
        shutil.rmtree(recordings)
    return into


def python_path(tree: Path) -> str:
    """What ``PYTHONPATH`` has to be for the code of a tree."""
    return f"{tree}{os.pathsep}{tree / 'libs' / 'eventbus'}"


def run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``python ...`` with the code of a tree, to its end."""
    environment = {**os.environ, "PYTHONPATH": python_path(tree)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True, timeout=120
    )


def _add_versions(tree: Path, changes: Iterable[Change]) -> None:
    """What ``make schema-version`` and then ``make schema-pin`` do. Raises ValueError with what they say."""
    # the tool asks git whether a version was released
    identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    for command in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "."),
        ("commit", "--quiet", "-m", "today"),
    ):
        subprocess.run(["git", *identity, *command], cwd=tree, check=True, capture_output=True)
    _schema_version(
        tree, *([change.message, *(["--new"] if change.field is None else [])] for change in changes)
    )
    grown = [change for change in changes if change.field is not None]
    for change in grown:
        topic, name = change.message.split("/")
        path = max(
            (tree / "schemas" / topic).glob(f"{name}.v*.avsc"), key=lambda path: Version.parse(path.stem)
        )
        record = json.loads(path.read_text())
        record["fields"].append(change.field)
        path.write_text(json.dumps(record, indent=2))
    _schema_version(tree, *([change.message, "--pin"] for change in grown))


def _schema_version(tree: Path, *calls: Sequence[str]) -> None:
    """``python -m tools.schema_version`` with each of these arguments, in one process."""
    script = (
        "import json, sys; from tools.schema_version import main; "
        "sys.exit(any([main(call) for call in json.loads(sys.argv[1])]))"
    )
    done = run(tree, "-c", script, json.dumps(calls))
    if done.returncode:
        raise ValueError(f"the next release in {tree} has no new versions: {done.stdout}{done.stderr}")


def _release(tree: Path, names: Collection[str]) -> None:
    """Take the lines of these messages out of ``written.json``."""
    path = tree / "schemas" / "written.json"
    written = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({name: version for name, version in written.items() if name not in names}))


def _edit(tree: Path, edits: Iterable[Edit]) -> None:
    for edit in edits:
        path = tree / edit.file
        code = path.read_text()
        if code.count(edit.before) != 1:
            raise ValueError(
                f"{edit.file} has {code.count(edit.before)} times {edit.before!r}: mend this edit"
            )
        path.write_text(code.replace(edit.before, edit.after))
