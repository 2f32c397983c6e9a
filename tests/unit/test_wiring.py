"""Every service is wired in one way: ``services.X.__main__.service()`` says what it is made of."""

from __future__ import annotations

import socket
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from eventbus import Reactor, Service
from eventbus.kafka.topics import Topic, topics_of

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted(
    f"{folder}.{path.parent.name}"
    for folder in ("services", "examples")
    for path in (ROOT / folder).glob("*/__main__.py")
)


def service_of(package: str) -> Callable[..., Service]:
    made: Callable[..., Service] = import_module(f"{package}.__main__").service
    return made


@pytest.mark.parametrize("package", PACKAGES)
def test_a_service_says_what_it_is_made_of_without_any_connection_or_file(
    package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refused(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("service() opened a socket")

    monkeypatch.setattr(socket, "socket", refused)
    monkeypatch.chdir(tmp_path)
    service = service_of(package)()
    assert service.name == package.rsplit(".", 1)[1]
    assert all(decider.log and decider.inputs for decider in service.deciders)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_each_service_has_deciders_of_its_own(package: str) -> None:
    first, second = service_of(package)(), service_of(package)()
    assert all(a is not b for a, b in zip(first.deciders, second.deciders, strict=True))


def test_the_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYMENT_ON_EXHAUSTED", "fail")
    [failing] = service_of("services.payment")().deciders
    monkeypatch.delenv("PAYMENT_ON_EXHAUSTED")
    [parking] = service_of("services.payment")().deciders
    assert isinstance(failing, Reactor) and failing.on_retries_exhausted is not None
    assert isinstance(parking, Reactor) and parking.on_retries_exhausted is None


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("services/**/*.py")), ids=lambda p: str(p.relative_to(ROOT))
)
def test_no_wiring_is_done_afterwards_or_hidden_from_the_type_checker(path: Path) -> None:
    text = path.read_text()
    assert "type: ignore" not in text and "replace(reactor" not in text


def test_a_reactor_without_a_call_is_refused() -> None:
    with pytest.raises(TypeError, match="call"):
        Reactor("x.events", (), 0, lambda m, s: (), lambda s, e: s)  # type: ignore[call-arg]


MIRRORS = {
    "services.order": "order.events.v1",
    "services.payment": "payment.events.v1",
    "services.inventory": "inventory.events.v1",
}


@pytest.mark.parametrize("package", PACKAGES)
def test_version_1_has_a_topic_of_its_own_only_where_it_is_switched_on(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert service_of(package)().mirrors == ()
    monkeypatch.setenv("EVENTBUS_V1_TOPICS", "1")
    service = service_of(package)()
    wanted = [MIRRORS[package]] if package in MIRRORS else []
    assert [mirror.topic for mirror in service.mirrors] == wanted
    made = topics_of(service.name, service.deciders, service.mirrors)
    assert [topic for topic in made if topic.name.endswith(".v1")] == [Topic.log(name) for name in wanted]
    monkeypatch.setenv("EVENTBUS_V1_TOPICS", "maybe")
    if package in MIRRORS:
        with pytest.raises(ValueError, match="v1_topics"):
            service_of(package)()
