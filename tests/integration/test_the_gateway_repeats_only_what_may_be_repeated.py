"""Whose answer was lost is asked again of another replica, if the same request twice does what it does once."""

from __future__ import annotations

import http.client
import os
import socket
import struct
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from tests.support.waiting import eventually
from tools.stack.gateway import FILES, config_for, find
from tools.stack.ports import free_ports

pytestmark = pytest.mark.skipif(not find(), reason="HAProxy is not installed: the gateway cannot be tested")
KEY = {"Idempotency-Key": "k"}
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with which a closed socket is reset."""


class Replica:
    """Counts what it was asked, and answers, or breaks off: orderly (``fin``) or not (``reset``)."""

    def __init__(self, port: int) -> None:
        self.port, self.mode, self.asked = port, "answers", Counter[str]()
        self._socket = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Listen no more. A thread that waits in ``accept`` keeps a socket open that is only closed."""
        if self._socket.fileno() >= 0:
            self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, client.makefile("rb") as lines:
                while request := lines.readline():
                    method, path, _ = request.decode().split()
                    headers = http.client.parse_headers(lines)
                    lines.read(int(headers["content-length"] or 0))
                    is_check = path in ("/readyz", "/healthz")
                    if not is_check:
                        self.asked[method] += 1
                        if self.mode == "reset":
                            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                        if self.mode != "answers":
                            return
                    client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        except OSError:
            return  # the gateway has closed


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[Replica]]]:
    """HAProxy as a local stack has it, before two replicas."""
    port, *ports = free_ports(3)
    replicas = [Replica(one) for one in ports]
    file = tmp_path_factory.mktemp("gateway") / "gateway.cfg"
    file.write_text(config_for({"order": (port, ports)}))
    command = [find(), "-W", "-db", "-f", str(FILES / "rules.cfg"), "-f", str(file)]
    process = subprocess.Popen(command, env={**os.environ, "GATEWAY_FILES": str(FILES)})
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: _status(url) == 200, "the gateway knows the replicas as ready")
        yield url, replicas
    finally:
        process.terminate()
        process.wait(10)
        for replica in replicas:
            replica.close()


@pytest.fixture
def gateway(running: tuple[str, list[Replica]]) -> tuple[str, list[Replica]]:
    """The same; both replicas answer, and were asked nothing yet."""
    for replica in running[1]:
        replica.mode = "answers"
        replica.asked.clear()
    return running


def _status(url: str) -> int:
    try:
        return httpx.get(f"{url}/readyz").status_code
    except httpx.TransportError:
        return 0


def ask(url: str, method: str, times: int = 8, headers: dict[str, str] | None = None) -> list[httpx.Response]:
    """As many requests, each on a connection of its own."""
    body = b"{}" if method == "POST" else None
    path = f"{url}/orders"
    return [httpx.request(method, path, content=body, headers=headers, timeout=20.0) for _ in range(times)]


@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize(("method", "headers"), [("GET", {}), ("HEAD", {}), ("POST", KEY)])
def test_what_may_be_repeated_is_answered_by_another_replica(
    gateway: tuple[str, list[Replica]], how: str, method: str, headers: dict[str, str]
) -> None:
    url, (broken, sound) = gateway
    broken.mode = how
    assert {answer.status_code for answer in ask(url, method, headers=headers)} == {200}
    assert broken.asked[method] >= 3, "half of them went there first"
    assert sound.asked[method] == 8


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_a_post_without_a_key_is_sent_once(gateway: tuple[str, list[Replica]], how: str) -> None:
    url, (broken, sound) = gateway
    broken.mode = how
    answers = ask(url, "POST")
    assert broken.asked["POST"] + sound.asked["POST"] == 8
    lost = [answer for answer in answers if answer.status_code != 200]
    assert len(lost) == broken.asked["POST"] >= 3
    for answer in lost:
        assert (answer.status_code, answer.headers["content-type"]) == (502, "application/problem+json")
        assert "Idempotency-Key" in answer.json()["detail"]
        assert "retry-after" not in answer.headers


def test_if_no_replica_answers_a_read_is_503_that_says_when_to_ask_again(
    gateway: tuple[str, list[Replica]],
) -> None:
    url, replicas = gateway
    for replica in replicas:
        replica.mode = "reset"
    for answer in ask(url, "GET", 2) + ask(url, "POST", 2, KEY):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["type"] == "/problems/unavailable"


def test_what_nobody_has_received_goes_to_another_replica_without_a_key_too_as_long_as_there_is_one(
    gateway: tuple[str, list[Replica]],
) -> None:
    url, (gone, there) = gateway
    gone.close()
    assert {answer.status_code for answer in ask(url, "POST")} == {200}
    assert (gone.asked["POST"], there.asked["POST"]) == (0, 8)
    there.close()
    for answer in ask(url, "GET", 2) + ask(url, "POST", 2):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["type"] == "/problems/unavailable"
