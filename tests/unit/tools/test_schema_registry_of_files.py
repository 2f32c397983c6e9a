"""`make registry` answers as a schema registry does; `make schema-register` fills one with the pinned ids."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from eventbus.codec import load_packages
from eventbus.model.errors import Misconfigured, Retryable
from eventbus.registry.agreement import entries
from eventbus.registry.api import RegistryApi
from eventbus.settings import RegistrySettings
from testbed.registry import FakeRegistry, serving
from tools.registry import SCHEMAS
from tools.schema_registry.__main__ import main
from tools.schema_registry.answers import SchemaFiles
from tools.schema_registry.register import Filled, fill
from tools.schema_registry.server import SchemaServer
from tools.stack.ports import free_port
from tools.stack.settings import ROOT, passed_on

KNOWN = entries(load_packages(SCHEMAS))
FILES = SchemaFiles(KNOWN)
CREATED = {str(e.version): e for e in KNOWN}["OrderCreated.v2"]
SUBJECT = "orders.OrderCreated"


def test_every_version_of_every_service_is_found_by_id_and_by_subject() -> None:
    assert FILES.answer("GET", "/subjects")[1] == sorted({e.subject for e in KNOWN})
    for entry in KNOWN:
        assert FILES.answer("GET", f"/schemas/ids/{entry.pinned}") == (200, {"schema": entry.text})
        status, found = FILES.answer("POST", f"/subjects/{entry.subject}", {"schema": entry.text})
        assert (status, found["id"], found["subject"]) == (200, entry.pinned, entry.subject)
        same = FILES.answer("GET", f"/subjects/{entry.subject}/versions/{found['version']}")
        assert same == (200, found)
    assert {"orders.FraudSuspected", "eventbus.Redrive"} <= {e.subject for e in KNOWN}


def test_versions_of_a_subject_are_numbered_from_1() -> None:
    assert FILES.answer("GET", f"/subjects/{SUBJECT}/versions")[1][:2] == [1, 2]
    assert FILES.answer("GET", f"/subjects/{SUBJECT}/versions/1")[1]["id"] == 1
    latest = FILES.answer("GET", f"/subjects/{SUBJECT}/versions/latest")
    assert latest == FILES.answer("GET", f"/subjects/{SUBJECT}/versions/-1")
    place = {"subject": SUBJECT, "version": 2}
    assert FILES.answer("GET", f"/schemas/ids/{CREATED.pinned}/versions") == (200, [place])
    assert FILES.answer("GET", f"/schemas/ids/{CREATED.pinned}/subjects") == (200, [SUBJECT])
    assert FILES.answer("GET", f"/schemas/ids/{CREATED.pinned}/schema")[1]["name"] == "OrderCreated"


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/schemas/ids/999999", 404, 40403),
        ("GET", "/schemas/ids/x", 404, 40403),
        ("GET", "/schemas/ids/²", 404, 40403),
        ("GET", "/schemas/ids/" + "9" * 5_000, 404, 40403),
        ("GET", "/subjects/nobody/versions", 404, 40401),
        ("POST", "/subjects/nobody", 404, 40401),
        ("GET", f"/subjects/{SUBJECT}/versions/99", 404, 40402),
        ("GET", f"/subjects/{SUBJECT}/versions/0", 422, 42202),
        ("GET", f"/subjects/{SUBJECT}/versions/x", 422, 42202),
        ("GET", "/nothing", 404, 404),
        ("POST", f"/subjects/{SUBJECT}", 422, 42201),
        ("POST", f"/subjects/{SUBJECT}/versions", 422, 42205),
        ("PUT", "/config", 422, 42205),
        ("DELETE", f"/subjects/{SUBJECT}", 422, 42205),
    ],
)
def test_what_is_not_there_or_not_allowed_is_said_with_the_code_of_a_registry(
    method: str, target: str, status: int, code: int
) -> None:
    answered, body = FILES.answer(method, target)
    assert (answered, body["error_code"]) == (status, code)
    assert body["message"]


def test_a_client_that_registers_what_is_there_already_is_given_its_id() -> None:
    other_words = json.dumps(json.loads(CREATED.text) | {"doc": "other words"})
    for schema in (CREATED.text, other_words):
        answer = FILES.answer("POST", f"/subjects/{SUBJECT}/versions", {"schema": schema})
        assert answer == (200, {"id": CREATED.pinned})
    changed = json.dumps(json.loads(CREATED.text) | {"fields": []})
    assert FILES.answer("POST", f"/subjects/{SUBJECT}/versions", {"schema": changed})[0] == 422


@pytest.fixture
def server() -> Iterator[SchemaServer]:
    with SchemaServer(FILES) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def asked(
    server: SchemaServer, method: str, target: str, body: bytes = b"", length: str = ""
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    connection.putrequest(method, target)
    connection.putheader("content-length", length or str(len(body)))
    connection.endheaders(body)
    with connection.getresponse() as response:
        assert response.headers["content-type"] == "application/vnd.schemaregistry.v1+json"
        return response.status, json.loads(response.read())


def test_it_is_served_on_the_loopback_whatever_is_sent(server: SchemaServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert asked(server, "GET", "/mode") == (200, {"mode": "READONLY"})
    assert asked(server, "GET", "/schemas/ids/7?subject=x&format=")[1] == {"schema": CREATED.text}
    assert asked(server, "POST", f"/subjects/{SUBJECT}", b"{nonsense")[0] == 422
    assert asked(server, "POST", f"/subjects/{SUBJECT}", b"[" * 100_000)[0] == 422
    assert asked(server, "POST", f"/subjects/{SUBJECT}", b"", length="99999999999")[0] == 413
    assert asked(server, "POST", f"/subjects/{SUBJECT}", b"", length="-1")[0] == 413
    assert asked(server, "POST", f"/subjects/{SUBJECT}", b"[1]")[0] == 422


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with serving(FakeRegistry()) as registry:
        yield registry


def filled(fake: FakeRegistry) -> Filled:
    async def fill_it() -> Filled:
        api = RegistryApi(RegistrySettings(url=fake.url))
        try:
            return await fill(api, KNOWN)
        finally:
            await api.close()

    return asyncio.run(fill_it())


def test_a_registry_that_lets_one_choose_ids_gets_the_pinned_ones(fake: FakeRegistry) -> None:
    result = filled(fake)

    assert result == Filled(len(KNOWN), {})
    assert fake.schemas == {e.pinned: e.text for e in KNOWN}
    assert fake.subjects[SUBJECT][:2] == [1, 7]
    assert fake.modes == {}, "every subject is in the mode of the registry again"
    fake.asked.clear()
    assert filled(fake) == result
    assert {line.split()[0] for line in fake.asked} == {"GET"}, "repeated, it writes nothing"


def test_a_registry_that_gives_its_own_ids_is_filled_and_that_is_said(fake: FakeRegistry) -> None:
    fake.imports, fake.next_id = False, 100_001

    result = filled(fake)

    assert result.pinned == 0
    assert sorted(result.others.values()) == list(range(100_001, 100_001 + len(KNOWN)))
    assert "under the registry's ids" in str(result)


def test_a_registry_that_says_it_takes_ids_and_gives_its_own_is_found_out(fake: FakeRegistry) -> None:
    """Apicurio 3.3 answers so."""
    fake.next_id = 100_001
    fake.trouble = lambda method, path: (200, {"mode": "IMPORT"}) if method == "PUT" else None

    assert set(filled(fake).others.values()) == set(range(100_001, 100_001 + len(KNOWN)))


def test_nothing_is_registered_in_a_registry_that_has_another_schema_under_a_pinned_id(
    fake: FakeRegistry,
) -> None:
    fake.schemas[CREATED.pinned] = '"string"'

    with pytest.raises(Misconfigured, match=r"under the id 7, which is pinned to OrderCreated\.v2"):
        filled(fake)
    assert fake.subjects == {}


def test_the_mode_of_a_subject_is_put_back_also_if_registering_fails(fake: FakeRegistry) -> None:
    fake.trouble = lambda method, path: (500, b"full") if method == "POST" else None

    with pytest.raises(Retryable):
        filled(fake)
    assert fake.modes == {}


def test_the_command_says_what_it_did_or_what_is_wrong(
    fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SCHEMA_REGISTRY_URL", raising=False)
    assert main(["register"]) == 2
    assert "SCHEMA_REGISTRY_URL=" in capsys.readouterr().err
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", fake.url)
    assert main(["register"]) == 0
    assert f"{fake.url}: {len(KNOWN)} versions have their pinned ids" in capsys.readouterr().out
    fake.trouble = lambda method, path: (401, b"who are you?")
    assert main(["register"]) == 1
    assert "401" in capsys.readouterr().err


def test_make_registry_serves_until_ctrl_c_beside_a_stack_and_says_how_to_use_it() -> None:
    base = free_port() - 91
    command = [sys.executable, "-m", "tools.schema_registry", "serve"]
    env = {
        **os.environ,
        "STACK_PORT_BASE": str(base),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'libs' / 'eventbus'}",
    }
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(3)]
        url = f"http://127.0.0.1:{base + 91}"
        assert url in lines[0]
        assert lines[1].strip() == f"curl -sS {url}/subjects"
        connection = http.client.HTTPConnection("127.0.0.1", base + 91, timeout=5)
        connection.request("GET", "/subjects")
        assert SUBJECT in json.loads(connection.getresponse().read())
        connection.close()
        second = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=30)
        assert (second.returncode, second.stderr.count("STACK_PORT_BASE")) == (1, 1)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_a_stack_hands_the_settings_of_a_registry_on_to_its_services() -> None:
    env = {
        "SCHEMA_REGISTRY_URL": "http://r:8081",
        "SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO": "u:p",
        "HOME": "/h",
    }
    assert passed_on(env) == {name: env[name] for name in sorted(env) if name != "HOME"}
