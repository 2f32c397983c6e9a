"""A dry run asks a replica with the key that the environment names, and says what is missing without one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from eventbus.access.api_keys import new_key, parse_keys
from eventbus.cli.ending import CommandError, Exit
from eventbus.cli.execution import DryRunClient
from eventbus.cli.index import ParkedKey
from eventbus.cli.key import KEY, add_line


class Replica(BaseHTTPRequestHandler):
    """Lets in whoever has the right key."""

    def do_GET(self) -> None:
        is_known = self.headers.get("Authorization") == "Bearer ebk_right"
        self.send_response(200 if is_known else 401)
        self.end_headers()
        self.wfile.write(json.dumps({"messages": []}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def client() -> Iterator[DryRunClient]:
    server = HTTPServer(("127.0.0.1", 0), Replica)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield DryRunClient({"courier": f"http://127.0.0.1:{server.server_port}"})
    server.shutdown()
    thread.join()
    server.server_close()


PARKED = ParkedKey("courier", "courier.events", "a", ())


def test_a_dry_run_is_answered_with_the_key(client: DryRunClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "ebk_right")
    assert client.result("redrive", PARKED, None).rows == ()


@pytest.mark.parametrize("key", [None, "ebk_wrong"])
def test_without_the_key_the_error_says_what_to_set(
    client: DryRunClient, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    monkeypatch.delenv(KEY, raising=False)
    if key:
        monkeypatch.setenv(KEY, key)
    with pytest.raises(CommandError, match=f"401 .*: set {KEY} to a key with the scope admin") as caught:
        client.result("redrive", PARKED, None)
    assert caught.value.code is Exit.AWAY
    assert "ebk_wrong" not in str(caught.value)


def test_a_line_is_added_to_a_file_that_does_not_end_in_one(tmp_path: Path) -> None:
    file = tmp_path / "new" / "keys.jsonl"
    lines = [new_key(name, ["read"], None, None)[1] for name in ("a", "b", "c")]
    add_line(file, lines[0])
    file.write_text(file.read_text().rstrip("\n"))
    add_line(file, lines[1])
    add_line(file, lines[2])
    assert file.read_text().splitlines() == lines
    assert len(parse_keys(file.read_bytes())) == 3


def test_a_file_that_is_broken_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "keys.jsonl"
    file.write_text("{\n")
    with pytest.raises(CommandError, match="line 1"):
        add_line(file, new_key("a", ["read"], None, None)[1])
    assert file.read_text() == "{\n"
