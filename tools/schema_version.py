"""Makes a new version of a message, or pins one anew that was not released yet.

``python -m tools.schema_version order.events/OrderCreated`` copies the latest file as the next minor version (with
``--major`` as the next major one), and gives it its number, an id, golden bytes, a pin, classes and a recording. A
line of ``written.json`` keeps the version before it as the one that is written. ``--new`` begins a message.

``--pin`` pins a version anew, after its file was changed. A version is *released* once the main branch has its file:
then replicas may know it, and nothing pins it anew.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

from eventbus.model.versions import Version
from tools.check_schemas import file_problems
from tools.generate_messages import outdated
from tools.pin_schemas import pin
from tools.recordings.__main__ import find
from tools.recordings.versions import record_version
from tools.registry import ROOT
from tools.released import Refused, require_unreleased
from tools.schema_folders import Folder, Json, SchemaFile, folders, latest
from tools.schema_samples import fitted

DOWNCASTS = '''"""The latest version of a message as an older major version says it.

Each function takes a record of the latest version (camelCase), and returns another one. What the older version cannot
say raises ``eventbus.model.errors.Unrepresentable``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Record = dict[str, Any]

DOWNCASTS: dict[tuple[str, int], Callable[[Record], Record]] = {
}
'''
FIRST = """{{
  "type": "record",
  "name": "{name}",
  "namespace": "{namespace}",
  "doc": "What {name} says.",
  "topic": "{topic}",
  "key": "{key}",
  "kind": "{kind}",
  "fields": [
    {{"name": "{key}", "type": "string", "doc": "The key of the message."}},
    {{
      "name": "timestamp",
      "type": {{"type": "long", "logicalType": "timestamp-millis"}},
      "default": 0,
      "doc": "When it happened, ms since epoch (UTC); 0 means: stamped when recorded."
    }}
  ]
}}
"""


def chosen(
    message: str, package: str | None, known: Sequence[Folder], new: bool = False
) -> tuple[Folder, str, str]:
    """The folder, the topic and the name that ``order.events/OrderCreated`` means. Raises Refused."""
    topic, slash, name = message.partition("/")
    if not slash or not re.fullmatch(r"[A-Z]\w*", name):
        raise Refused(f"{message!r} names no message: write it as order.events/OrderCreated")
    asked = [folder for folder in known if package in (None, folder.name)]
    having = [folder for folder in asked if any((folder.path / topic).glob(f"{name}.v*.avsc"))]
    if new:
        asked = [folder for folder in asked if (folder.path / topic).is_dir()] if package is None else asked
        if having:
            raise Refused(f"{message} is there already: leave NEW=1 out")
        if len(asked) != 1:
            raise Refused(f"{message} may go into {_names(asked)}: name a package with PACKAGE=")
        return asked[0], topic, name
    if not having:
        raise Refused(f"there is no {message} in {_names(asked)}; a new message: NEW=1")
    if len(having) > 1:
        raise Refused(f"{message} is in {_names(having)}: name a package with PACKAGE=")
    return having[0], topic, name


def _names(chosen: Sequence[Folder]) -> str:
    return ", ".join(folder.name for folder in chosen) or "no package"


def make_version(
    folder: Folder, topic: str, name: str, *, major: bool, known: Sequence[Folder]
) -> SchemaFile:
    """The next version of a message, as a copy of its latest one, held back by ``written.json``. Raises Refused."""
    require_sound(known)
    last = latest(folder.files())[name]
    version = (
        Version(name, last.version.major + 1)
        if major
        else last.version._replace(minor=last.version.minor + 1)
    )
    path = folder.path / topic / f"{version}.avsc"
    if major:
        _add_downcast(folder, last.version)
    path.write_text(_numbered(last, version), encoding="utf-8")
    golden = folder.load("golden")
    golden[str(version)] = [
        {"record": _renumbered(sample["record"], last.version, version)} for sample in golden[last.id]
    ]
    folder.save("golden", golden)
    written = folder.load("written")
    folder.save("written", {**written, name: written.get(name, last.id)})
    return _finish(folder, version, known)


def make_message(folder: Folder, topic: str, name: str, key: str, known: Sequence[Folder]) -> SchemaFile:
    """Version 1 of a new message, with its key and a timestamp. Raises Refused."""
    require_sound(known)
    records = [file.record for file in folder.files()]
    beside = [record for record in records if record["topic"] == topic] or records
    namespace = beside[0]["namespace"] if beside else folder.name.rsplit(".", 1)[-1]
    key = key or (beside[0]["key"] if beside else "")
    if not key:
        raise Refused(f"the key of {name} is not known: give it as KEY=orderId")
    kind = "command" if topic.endswith(".commands") else "event"
    text = FIRST.format(name=name, namespace=namespace, topic=topic, key=key, kind=kind)
    path = folder.path / topic / f"{name}.v1.avsc"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    golden = folder.load("golden")
    golden[f"{name}.v1"] = [{"record": {}}]
    folder.save("golden", golden)
    return _finish(folder, Version(name, 1), known)


def pin_anew(folder: Folder, name: str, known: Sequence[Folder]) -> SchemaFile:
    """Pin the latest version of a message as its file is now. Raises Refused if it was released."""
    file = latest(folder.files())[name]
    require_unreleased(file.path)
    return _finish(folder, file.version, known)


def require_sound(known: Sequence[Folder]) -> None:
    """That nothing is wrong already: a new version begins from what holds."""
    if problems := file_problems(known):
        raise Refused("\n".join(["first mend what is wrong already:", *problems]))


def _finish(folder: Folder, version: Version, known: Sequence[Folder]) -> SchemaFile:
    """Samples, pins and classes of a version that is new or was changed. Raises Refused."""
    [file] = [one for one in folder.files() if one.version == version]
    golden, released = folder.load("golden"), folder.load("released")
    golden[file.id] = [{"record": fitted(sample["record"], file.record)} for sample in golden[file.id]]
    released.pop(file.id, None)
    before = {name: folder.load(name) for name in ("golden", "released")}
    folder.save("golden", golden)
    folder.save("released", released)
    try:
        pin(folder, known)
    except ValueError as error:
        for name, content in before.items():
            folder.save(name, content)
        raise Refused(str(error)) from error
    for path, text in outdated(folder.path).items():
        path.write_text(text, encoding="utf-8")
    return file


def record_event(folder: Folder, file: SchemaFile) -> str:
    """Have a recording of its log hold an event; returns what is still to be done for that, or an empty text."""
    older = [one for one in folder.files() if one.name == file.name and one.version < file.version]
    if file.record["kind"] != "event":
        return ""
    if not older:
        return "A recording of its log is to hold it once `evolve` folds it: see schemas/README.md.\n"
    try:
        record_version(find(), file, older[-1].id)
    except ValueError as error:
        return f"Its recording is not complete: {error}\n"
    return ""


def _numbered(last: SchemaFile, version: Version) -> str:
    """The text of a file, its layout kept, with the number of another version as the default of ``version``."""
    text = last.path.read_text(encoding="utf-8")
    old = re.escape(f'"{last.version.number}"')
    return re.sub(
        rf'("name":\s*"version"[^{{}}]*?"default":\s*){old}',
        rf'\g<1>"{version.number}"',
        text,
        flags=re.DOTALL,
    )


def _renumbered(record: Json, old: Version, new: Version) -> Json:
    return {**record, "version": new.number} if record.get("version") == old.number else record


def _add_downcast(folder: Folder, older: Version) -> None:
    """A downcast to a major version that changes nothing yet, as a copy needs none. Raises Refused."""
    path = folder.path / "downcasts.py"
    text = path.read_text(encoding="utf-8") if path.exists() else DOWNCASTS
    entry = f'    ("{older.name}", {older.major}): '
    if entry in text:
        return
    function = f"_{re.sub(r'(?<!^)(?=[A-Z])', '_', older.name).lower()}_{older.major}"
    parts = re.split(r"^(DOWNCASTS\b[^\n]*= \{\n)", text, flags=re.MULTILINE)
    if len(parts) != 3:
        raise Refused(f"{path} has no line `DOWNCASTS = {{`, to which {older} could be added")
    body = (
        f"def {function}(record: Record) -> Record:\n"
        f'    """{older}: as the latest version, whose schema is the same still."""\n    return record\n\n\n'
    )
    path.write_text(f"{parts[0]}\n{body}{parts[1]}{entry}{function},\n{parts[2]}", encoding="utf-8")


def next_steps(file: SchemaFile, folder: Folder, made: str) -> str:
    """What to do now that a version is there."""
    message, package = f"{file.path.parent.name}/{file.name}", folder.path
    again = f"make schema-pin MESSAGE={message}"
    held = folder.load("written").get(file.name)
    lines = [f"{file.id} is {made}, with id {folder.load('ids')[file.id]}: {file.path}", ""]
    if held:
        lines.append(f"It is read from now on, and {held} is still written ({package}/written.json). Next:")
    else:
        lines.append("Next:")
    lines += [
        f"1. Change {file.path}: {_rule(file)}. Then `{again}` completes its golden bytes and the classes.",
        "2. Use it: in `decide` and `evolve`, and in upcasts.py and downcasts.py if the defaults do not say what an "
        "older body means.",
        "3. `make check`. Merge it, and restart every replica of every service with it: all can read it then.",
    ]
    if held:
        lines.append(
            f"4. Release it: take the line of {file.name} out of {package}/written.json, "
            "`make reference`, merge, restart again."
        )
    return "\n".join(lines)


def _rule(file: SchemaFile) -> str:
    if file.version.minor:
        return "fields with a default may come or go, nothing else"
    return (
        "a new field has a default, and a field that stays only gets a wider type"
        if file.version.major > 1
        else ("add its fields")
    )


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="schema_version", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("message", help="such as order.events/OrderCreated")
    parser.add_argument("--package", help="the schema package, if it is not clear, such as examples.fraud")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--major", action="store_true", help="make the next major version")
    what.add_argument("--new", action="store_true", help="begin a message that there is not yet")
    what.add_argument(
        "--pin", action="store_true", help="pin its latest version anew, which is not released yet"
    )
    parser.add_argument("--key", default="", help="the field that is the key of a new message")
    options = parser.parse_args(arguments)
    try:
        known = folders(beside=[options.package] if options.package else [])
        folder, topic, name = chosen(options.message, options.package, known, options.new)
        if options.pin:
            file, made = pin_anew(folder, name, known), "pinned"
        elif options.new:
            file, made = make_message(folder, topic, name, options.key, known), "made"
        else:
            file, made = make_version(folder, topic, name, major=options.major, known=known), "made"
    except (Refused, ValueError) as error:
        print(str(error).replace(f"{ROOT}/", ""), file=sys.stderr)
        return 1
    print((record_event(folder, file) + next_steps(file, folder, made)).replace(f"{ROOT}/", ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
