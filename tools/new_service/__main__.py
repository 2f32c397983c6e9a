"""``python -m tools.new_service shipping`` makes a service that works, and changes no other.

The files of ``template`` are filled in: ``$name`` in what they hold, ``__name__`` in what they are called. Then what
is generated from code and schemas is renewed. If anything fails, everything is as it was before.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from string import Template

from tools import registry
from tools.new_service.entries import entered
from tools.new_service.plan import Plan, Refused, folders, plan
from tools.pin_schemas import pin
from tools.schema_folders import Folder
from tools.schema_folders import folders as schema_folders

TEMPLATE = Path(__file__).parent / "template"
SUFFIX = ".tmpl"
GENERATORS = (
    "tools.generate_messages services/$name",
    "ruff check --quiet --select I --fix services/$name tests/unit/$name",
    "ruff format --quiet services/$name tests/unit/$name",
    "tools.recordings --record",
    "tools.reference",
)
"""Modules that make what follows from code and schemas, with their arguments."""
NEXT = """\
services/$name is a reactor on OrderConfirmed, with its tests in tests/unit/$name. It answers on port $port.
Next:
  make run SERVICE=$name      one replica, beside what runs, until Ctrl-C; `make up` starts it from now on
  services/$name/partner.py   connect the partner: the default only logs
  services/$name/decider.py   say what it does
  make check && make test ARGS=tests/unit/$name
It begins with orders that are confirmed from now on; ${NAME}_START_FROM says otherwise.
"""


def filled(made: Plan, root: Path) -> dict[Path, str]:
    """The files of the template, by where they belong."""
    texts = {}
    for path in sorted(TEMPLATE.rglob(f"*{SUFFIX}")):
        place = str(path.relative_to(TEMPLATE)).removesuffix(SUFFIX)
        place = place.replace("__name__", made.name).replace("__Name__", made.words["Name"])
        texts[root / place] = Template(path.read_text(encoding="utf-8")).substitute(made.words)
    return texts


def make(name: str, root: Path = registry.ROOT) -> Plan:
    """Make a service. Raises Refused, or ValueError for schemas that cannot be pinned; nothing is changed then."""
    made = plan(name, root)
    shared = entered(made, root)
    before = {
        path: path.read_text(encoding="utf-8") for path in (*shared, *(root / "docs/reference").iterdir())
    }
    try:
        for path, text in (shared | filled(made, root)).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        package = Folder(f"services.{name}", root / "services" / name)
        pin(package, [*schema_folders(), package])
        _generate(made, root)
    except BaseException:
        for path, text in before.items():
            path.write_text(text, encoding="utf-8")
        for folder in folders(name, root):
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return made


def _generate(made: Plan, root: Path) -> None:
    for generator in GENERATORS:
        command = Template(generator).substitute(made.words)
        done = subprocess.run(
            [sys.executable, "-m", *command.split()], cwd=root, capture_output=True, text=True
        )
        if done.returncode:
            raise Refused(f"{command} failed, nothing is changed:\n{done.stderr}{done.stdout}")


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="new_service", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "name", nargs="?", default="", help="such as shipping: topics and packages begin with it"
    )
    name: str = parser.parse_args(arguments).name
    try:
        made = make(name)
    except (Refused, registry.RegistryError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(Template(NEXT).substitute(made.words), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
