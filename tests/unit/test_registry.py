"""Errors in services.toml are named. Files that cannot read it agree with it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from eventbus.cli.creation import load as wired
from tests.support.processes import run_python
from tools import registry
from tools.registry import FILE, ROOT, SERVICES, STARTED, RegistryError, Service, load
from tools.stack.settings import Record
from verification.hostile import catalogue

GOOD = '[order]\nport = 8000\npackage = "services.order"\ndockerfile = "services/order/Dockerfile"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no service: write one table for each"),
        ("[order\n", "is not TOML"),
        ("port = 8000\n", "port stands outside of a service"),
        (GOOD.replace("[order]", "[Order]"), "a service has a name of small letters and digits"),
        (
            GOOD.replace("[order]", "[gateway]"),
            "none of kafka, simulator, gateway, topics, inbox, stack, eventbus",
        ),
        (
            GOOD + "ports = 1\n",
            r"\[order\]: ports is unknown: the keys are port, package, dockerfile, schemas",
        ),
        (GOOD + "start = 1\n", r"\[order\]: start is 1: give true or false"),
        (GOOD + 'logs = "order.events"\n', "logs is 'order.events': give a list of texts"),
        (GOOD + "logs = []\n", "logs is .*: give a list of texts"),
        (GOOD + 'logs = ["order.log"]\n', "logs has 'order.log': the name of an event log ends in .events"),
        (GOOD.replace("8000", '"8000"'), "port is '8000': give a number"),
        (GOOD.replace("8000", "true"), "port is True: give a number"),
        (GOOD.replace("8000", "8010"), "port is 8010: give one from 8000 to 8009"),
        (
            GOOD.replace("services.order", "services/order"),
            "package has .*: give a package such as",
        ),
        ('[order]\nport = 8000\npackage = "services.order"\n', "dockerfile is missing: give a text"),
        (GOOD + GOOD.replace("[order]", "[pay]"), "the port 8000 is that of order and of pay"),
        (
            GOOD + GOOD.replace("[order]", "[pay]").replace("8000", "8001"),
            "the package services.order is that of order and of pay",
        ),
        (
            GOOD
            + GOOD.replace("[order]", "[pay]").replace("8000", "8001").replace("services.order", "p")
            + 'logs = ["order.events"]\n',
            "the log order.events is that of order and of pay",
        ),
    ],
)
def test_an_error_in_the_registry_is_reported_with_its_place_and_remedy(
    text: str, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "services.toml"
    path.write_text(text)
    with pytest.raises(RegistryError, match=says) as refused:
        load(path)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)


def test_a_registry_that_cannot_be_read_ends_a_command_with_one_sentence(tmp_path: Path) -> None:
    done = run_python(["-m", "tools.stack", "ps"], {FILE: str(tmp_path / "none.toml")})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{tmp_path}/none.toml cannot be read: No such file or directory.\n"


def test_a_missing_key_has_its_default(tmp_path: Path) -> None:
    path = tmp_path / "services.toml"
    path.write_text(GOOD)
    [order] = load(path)
    assert (order.schemas, order.logs, order.start) == (("schemas",), ("order.events",), True)
    assert (order.retry, order.dead_letters, order.admin) == ("order.retry", "order.dlq", "order.admin")


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_the_registry_says_of_a_service_what_its_code_does(service: Service) -> None:
    found = wired(service.wiring)
    assert (found.name, found.port) == (service.name, service.port)
    assert sorted(decider.log for decider in found.deciders) == sorted(service.logs)
    assert (ROOT / service.dockerfile).is_file()
    assert found.schemas == service.schemas


def test_every_service_of_the_repository_is_in_the_registry() -> None:
    packages = [
        path.parent for folder in ("services", "examples") for path in ROOT.glob(f"{folder}/*/__main__.py")
    ]
    found = {".".join(path.relative_to(ROOT).parts) for path in packages}
    assert {service.package for service in SERVICES} == found


def test_hostile_records_are_written_to_every_topic_that_a_service_reads() -> None:
    read = {cls.topic for service in STARTED for d in wired(service.wiring).deciders for cls in d.inputs}
    assert read | {service.admin for service in STARTED} == set(catalogue.INPUTS)


def compose() -> Any:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_docker_compose_has_a_block_for_every_service(service: Service) -> None:
    file, name = compose(), service.name
    block = file["services"][name]
    assert block["build"] == {"context": ".", "dockerfile": service.dockerfile}
    assert block["image"] == f"${{STACK_PROJECT:-orders}}-{name}"
    assert block["volumes"] == [f"{name}:/var/lib/eventbus"] and name in file["volumes"]
    assert block.get("profiles") == (None if service.start else ["examples"])
    assert block["environment"]["EVENTBUS_HTTP_ALLOWED_HOSTS"] == name
    published = f"127.0.0.1:${{STACK_{name.upper()}_PORT:-{service.port}}}:{service.port}"
    assert published in file["services"]["gateway"]["ports"]


def test_docker_compose_alone_makes_the_topics_of_the_services_it_starts() -> None:
    imports = " ".join(service.wiring for service in STARTED)
    command = compose()["services"]["topics"]["command"]
    assert command == f"python -m eventbus topics create ${{STACK_TOPICS:-{imports}}}"


def test_no_other_container_and_no_other_port_is_in_docker_compose() -> None:
    file = compose()
    assert set(file["services"]) == {service.name for service in SERVICES} | set(registry.CONTAINERS)
    assert len(file["services"]["gateway"]["ports"]) == len(SERVICES) + 1  # and the payment simulator


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_the_gateway_spreads_the_port_of_every_service_over_its_replicas(service: Service) -> None:
    text, name = (ROOT / "tools/gateway/haproxy.cfg").read_text(), service.name
    [frontend] = re.findall(rf"^frontend {name} from asked\n((?:    .*\n)+)", text, re.M)
    assert frontend.splitlines()[0].strip() == f"bind :{service.port}"
    for backend in ("ready", "alive"):
        [section] = re.findall(rf"^backend {name}_{backend} from replicas\n((?:    .*\n)+)", text, re.M)
        assert f"server-template {name} 9 {name}:8000" in section
    assert str(service.port) in (ROOT / "tools/gateway/Dockerfile").read_text()


def test_an_image_holds_what_its_service_needs() -> None:
    for service in SERVICES:
        text, folder = (ROOT / service.dockerfile).read_text(), service.package.replace(".", "/")
        assert f"COPY {folder}/ {folder}/" in text
        assert f'CMD ["python", "-m", "{service.package}"]' in text
        assert all(f"COPY {schemas.split('.')[0]}/" in text for schemas in service.schemas)


def test_the_registry_needs_no_package(tmp_path: Path) -> None:
    done = run_python(["-S", "-m", "tools.stack", "--help"], {})
    assert done.returncode == 0, done.stderr


def test_a_record_of_a_stack_from_before_an_entry_was_added_is_read(tmp_path: Path) -> None:
    old = {"mode": "local", "scale": {"order": 2, "payment": 0, "gone": 3}, "env": {}}
    (tmp_path / "stack.json").write_text(json.dumps(old))
    scale = Record.load(tmp_path).scale
    started = {service.name: int(service.start) for service in SERVICES}
    assert scale == started | {"order": 2, "payment": 0}
