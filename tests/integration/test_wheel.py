"""The library alone: its wheel, in an empty environment, runs a service and passes the library's own tests."""

from __future__ import annotations

import shutil
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.installed import LIBRARY, Environment, build_wheel, clean_environ
from tests.support.processes import ServiceProcess
from tools.stack.ports import free_port

ABSENT = """
from importlib.util import find_spec
found = [name for name in "schemas services tests verification tools examples".split() if find_spec(name)]
assert not found, found
"""
WHERE = "import eventbus; print(eventbus.__file__)"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(LIBRARY, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with what the wheel asks for, and nothing else."""
    environment = Environment(tmp_path_factory.mktemp("installed"))
    environment.install(wheel)
    return environment


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A folder with a service of two files, its messages beside them."""
    folder = tmp_path / "alone"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(LIBRARY / "tests" / "parcels", folder / "parcels", ignore=ignored)
    return folder


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    files = {str(f.relative_to(LIBRARY)) for f in (LIBRARY / "eventbus").rglob("*") if f.is_file()}
    wanted = {file for file in files if "__pycache__" not in file}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    assert packed == wanted
    assert {"eventbus/py.typed", "eventbus/admin/ids.json"} <= packed
    assert any(name.endswith(".avsc") for name in packed)


def test_every_module_can_be_imported_where_there_is_no_repository(
    installed: Environment, tmp_path: Path
) -> None:
    modules = [
        ".".join(file.relative_to(LIBRARY).with_suffix("").parts)
        for file in (LIBRARY / "eventbus").rglob("*.py")
        if not file.name.startswith("__")
    ]
    assert len(modules) > 40
    installed.run("-c", ABSENT + "".join(f"import {module}\n" for module in modules), cwd=tmp_path)
    assert installed.run("-c", WHERE, cwd=tmp_path).startswith(str(installed.site))


def test_the_command_line_works_where_there_is_no_repository(installed: Environment, tmp_path: Path) -> None:
    assert "dlq" in installed.run("-m", "eventbus", "--help", cwd=tmp_path)
    assert "redrive" in installed.run("-m", "eventbus", "dlq", "--help", cwd=tmp_path)
    script = installed.python.with_name("eventbus")
    assert script.exists() and "skip" in installed.run(str(script), "--help", cwd=tmp_path)


@pytest.fixture
def parcels(installed: Environment, alone: Path, kafka: str) -> Iterator[ServiceProcess]:
    """The service, in the environment of the wheel; started and ready."""
    port = free_port()
    env = {
        "EVENTBUS_BOOTSTRAP_SERVERS": kafka,
        "EVENTBUS_TOPIC_PREFIX": f"t{uuid.uuid4().hex[:8]}.",
        "EVENTBUS_PARTITIONS": "2",
        "EVENTBUS_STATE_DIR": str(alone / "state"),
        "EVENTBUS_HTTP_PORT": str(port),
    }
    create = ("-m", "eventbus", "topics", "create", "parcels.__main__:service")
    assert installed.run(*create, cwd=alone, env=env).startswith("6 topics created")
    command = [str(installed.python), "-m", "parcels"]
    process = ServiceProcess(
        "parcel", command, env, port, alone / "log", cwd=alone, inherited=clean_environ()
    )
    with closing(process.http):
        yield process.start().wait_ready()
        process.kill()


def test_a_service_of_two_files_runs_on_the_wheel(parcels: ServiceProcess) -> None:
    assert parcels.get("/parcels/p1").status_code == 404
    sent = parcels.http.put("/parcels/p1", params={"sender": "anne"})
    assert sent.json() == {"events": ["ParcelSent"]}
    assert parcels.get("/parcels/p1").json() == {"parcelId": "p1", "sender": "anne", "version": 1}
    assert parcels.leads() == 2
    parcels.stop()


@pytest.mark.timeout(600)
def test_the_tests_of_the_library_pass_where_there_is_no_repository(wheel: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "environment")
    environment.install(wheel, extra="test")
    folder = tmp_path / "library"
    shutil.copytree(LIBRARY / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(LIBRARY / "pyproject.toml", folder)

    environment.run("-c", ABSENT, cwd=tmp_path)
    assert environment.run("-c", WHERE, cwd=folder).startswith(str(environment.site))
    printed = environment.run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder, timeout=550.0)
    assert " passed" in printed and "failed" not in printed and "skipped" not in printed
