"""Keys come and go while a service runs. What is broken is said, and what was good before stays in force."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from eventbus.access import authentication, issuer_keys
from eventbus.access.api_keys import find_key, new_key, parse_keys
from eventbus.access.authentication import Authenticator, authenticator
from eventbus.access.caller import NotAuthenticated
from eventbus.access.issuer_keys import ASK_AGAIN, KEEP, REFRESH_EVERY, KeysAtUrl
from eventbus.access.tokens import TokenVerifier, Trusted
from eventbus.access.watched_file import WatchedFile
from eventbus.model.errors import Misconfigured, Unavailable
from eventbus.settings import AccessSettings
from testbed.issuer import AUDIENCE, ISSUER, Issuer, key_server

SETTING = "EVENTBUS_API_KEYS_FILE"
TRUSTED = Trusted(ISSUER, AUDIENCE, ("RS256",), "sub")
OLD, NEW = Issuer(1), Issuer(2)


def is_broken(setting: str = SETTING) -> float | None:
    return REGISTRY.get_sample_value("eventbus_access_source_broken", {"setting": setting})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.jsonl"


def replace(path: Path, content: str | bytes) -> None:
    """Write another file, then give it the name: as a careful editor does."""
    draft = path.with_suffix(".new")
    draft.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(draft, path)


def test_a_changed_file_is_in_force_after_two_looks(path: Path) -> None:
    (first, line), (second, line_of_second) = (new_key(one, ["read"], None, None) for one in ("a", "b"))
    replace(path, line)
    file = WatchedFile(SETTING, path, parse_keys)
    replace(path, line_of_second)
    file.look()
    assert find_key(file.value, first, 0) and not find_key(file.value, second, 0)
    file.look()
    assert find_key(file.value, second, 0) and not find_key(file.value, first, 0)


def test_a_file_that_is_being_written_is_left_alone(path: Path) -> None:
    key, line = new_key("a", ["read"], None, None)
    replace(path, line)
    file = WatchedFile(SETTING, path, parse_keys)
    for end in range(0, len(line), 10):
        path.write_text(line[:end])  # in place, bit by bit; at first there is nothing
        file.look()
        assert find_key(file.value, key, 0)
    assert is_broken() == 0


@pytest.mark.parametrize("harm", ["{", None], ids=["broken", "gone"])
def test_a_file_that_breaks_leaves_the_last_good_keys_in_force(
    path: Path, harm: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    key, line = new_key("a", ["read"], None, None)
    replace(path, line)
    file = WatchedFile(SETTING, path, parse_keys)
    if harm is None:
        path.unlink()
    else:
        replace(path, f"{line}\n{harm}")
    for _ in range(4):
        file.look()
    assert find_key(file.value, key, 0)
    assert is_broken() == 1
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert SETTING in record.message and str(path) in record.message
    assert ("cannot be read" if harm is None else "line 2") in record.message
    replace(path, "")
    for _ in range(2):
        file.look()
    assert not file.value
    assert is_broken() == 0


@pytest.mark.timeout(20)
@pytest.mark.parametrize("path", ["/dev/zero", "/", "/dev/null/keys"])
def test_what_is_no_file_of_keys_ends_the_start(path: str) -> None:
    with pytest.raises(Misconfigured, match=SETTING):
        authenticator(AccessSettings(api_keys_file=Path(path)))


@pytest.mark.parametrize("content", [None, "{", "\n\n[]"])
def test_a_file_that_is_broken_at_the_start_ends_the_start(path: Path, content: str | None) -> None:
    if content is not None:
        path.write_text(content)
    with pytest.raises(Misconfigured, match=SETTING) as caught:
        authenticator(AccessSettings(api_keys_file=path))
    expected = "cannot be read" if content is None else f"line {content.count(chr(10)) + 1}: "
    assert str(path) in str(caught.value) and expected in str(caught.value)


async def test_a_running_service_takes_in_new_keys(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "LOOK_EVERY", 0.01)
    replace(path, "")
    known = authenticator(AccessSettings(api_keys_file=path))
    assert known is not None
    watching = asyncio.create_task(known.watch())
    key, line = new_key("late", ["read"], None, None)
    replace(path, line)
    async with asyncio.timeout(10):
        while (found := await caller(known, key)) != "key:late":
            assert found == "nobody"
            await asyncio.sleep(0.01)
    watching.cancel()


async def caller(known: Authenticator, token: str) -> str:
    try:
        return (await known.caller([f"Bearer {token}"])).id
    except NotAuthenticated:
        return "nobody"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_new_key_of_the_issuer_is_fetched_when_a_token_names_it() -> None:
    clock = Clock()
    async with key_server(OLD.public()) as server:
        keys = KeysAtUrl(server.url, clock)
        tokens = TokenVerifier(TRUSTED, keys)
        assert (await tokens.caller(OLD.token())).id
        clock.now += ASK_AGAIN
        server.content = NEW.public()
        assert (await tokens.caller(NEW.token())).id
        assert server.asked == 2
        with pytest.raises(
            NotAuthenticated
        ):  # the old key was withdrawn, and the token had been taken before
            await tokens.caller(OLD.token())
        await keys._client.close()


async def test_tokens_of_strangers_do_not_make_us_ask_the_issuer_again_and_again() -> None:
    clock = Clock()
    async with key_server(OLD.public()) as server:
        keys = KeysAtUrl(server.url, clock)
        tokens = TokenVerifier(TRUSTED, keys)
        refused = await asyncio.gather(
            *(tokens.caller(NEW.token(jti=str(number))) for number in range(50)), return_exceptions=True
        )
        assert all(isinstance(one, NotAuthenticated) for one in refused)
        assert server.asked == 1
        clock.now += ASK_AGAIN
        await asyncio.gather(
            *(tokens.caller(NEW.token(jti=str(n))) for n in range(50)), return_exceptions=True
        )
        assert server.asked == 2
        await keys._client.close()


async def test_known_keys_serve_for_a_day_while_the_issuer_is_down() -> None:
    clock = Clock()
    async with key_server(OLD.public()) as server:
        keys = KeysAtUrl(server.url, clock)
        tokens, token = TokenVerifier(TRUSTED, keys), OLD.token()
        assert (await tokens.caller(token)).id
        server.status = 500
        clock.now += REFRESH_EVERY
        await keys.refresh()
        assert is_broken(issuer_keys.SETTING) == 1
        assert (await tokens.caller(token)).id
        clock.now += KEEP
        with pytest.raises(Unavailable):
            await tokens.caller(token)
        server.status = 200
        clock.now += ASK_AGAIN
        await keys.refresh()
        assert is_broken(issuer_keys.SETTING) == 0
        assert (await tokens.caller(token)).id
        await keys._client.close()


@pytest.mark.parametrize("content", [b"", b"{}", b"<html>", b'{"keys": []}'])
async def test_an_answer_that_is_no_key_set_changes_nothing(content: bytes) -> None:
    clock = Clock()
    async with key_server(OLD.public()) as server:
        keys = KeysAtUrl(server.url, clock)
        tokens = TokenVerifier(TRUSTED, keys)
        assert (await tokens.caller(OLD.token())).id
        server.content = content
        clock.now += REFRESH_EVERY
        await keys.refresh()
        assert (await tokens.caller(OLD.token())).id
        await keys._client.close()


async def test_while_the_issuer_was_never_reached_nobody_can_say_who_calls() -> None:
    async with key_server(b"") as server:
        keys = KeysAtUrl(server.url)
        with pytest.raises(Unavailable):
            await TokenVerifier(TRUSTED, keys).caller(OLD.token())
        await keys._client.close()


async def test_an_issuer_that_does_not_answer_is_waited_for_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_keys, "TIMEOUT", 0.1)
    held = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    keys = KeysAtUrl(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks")
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable):
            await TokenVerifier(TRUSTED, keys).caller(OLD.token())
    held.set()
    server.close()
    await keys._client.close()


async def test_keys_are_fetched_at_the_start_and_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_keys, "REFRESH_EVERY", 0.0)
    monkeypatch.setattr(issuer_keys, "ASK_AGAIN", 0.0)
    monkeypatch.setattr(issuer_keys, "LOOK_EVERY", 0.01)
    async with key_server(OLD.public()) as server:
        keys = KeysAtUrl(server.url)
        watching = asyncio.create_task(keys.watch())
        async with asyncio.timeout(10):
            await server.was_asked(3)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


OIDC: dict[str, Any] = {
    "oidc_issuer": ISSUER,
    "oidc_audience": AUDIENCE,
    "oidc_jwks": "https://issuer.example.org/jwks",
}


@pytest.mark.parametrize("name", OIDC)
def test_the_settings_of_an_issuer_belong_together(name: str) -> None:
    with pytest.raises(Misconfigured, match="belong together"):
        authenticator(AccessSettings(**{**OIDC, name: ""}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("oidc_issuer", "http://issuer.example.org"),
        ("oidc_issuer", "issuer"),
        ("oidc_issuer", "https://issuer.example.org/a b"),
        ("oidc_issuer", "https://issuer.example.org/#key"),
        ("oidc_issuer", "https://issüer.example.org"),
        ("oidc_jwks", "http://issuer.example.org/jwks"),
        ("oidc_jwks", "https://user:secret@issuer.example.org/jwks"),
        ("oidc_jwks", "ftp://issuer.example.org/jwks"),
        ("oidc_jwks", "/no/such/file"),
        ("oidc_algorithms", "none"),
        ("oidc_algorithms", "RS256,HS256"),
        ("oidc_algorithms", " , "),
    ],
)
def test_unsafe_settings_end_the_start(name: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=f"EVENTBUS_{name.upper()}"):
        authenticator(AccessSettings(**{**OIDC, name: value}))


def test_without_keys_and_issuer_access_control_is_off() -> None:
    assert authenticator(AccessSettings()) is None
    assert authenticator(AccessSettings(**OIDC)) is not None
