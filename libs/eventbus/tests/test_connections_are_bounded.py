"""H5: what a connection may take. M3: a client that hangs up is no error."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import resource
from dataclasses import replace
from typing import Any

import pytest
import uvloop

from eventbus.http.connection import MAX_JOINED, Transport
from eventbus.http.connections import OpenConnections, Refusals, Refused, raise_descriptors
from eventbus.metrics import HTTP_CONNECTIONS, HTTP_REFUSED
from eventbus.model.limits import HttpLimits, room_for
from testbed.serving import JSON, MAX_BODY, PATIENT, QUICK, Client, get, post, serving, until

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")

CHUNKED = "transfer-encoding: chunked"


@pytest.fixture
def event_loop_policy() -> asyncio.AbstractEventLoopPolicy:
    """The loop that services run on."""
    policy: asyncio.AbstractEventLoopPolicy = uvloop.EventLoopPolicy()
    return policy


HEAD = b" HTTP/1.1\r\nhost: a\r\n"
PIECES = (
    *(
        get("/healthz"),
        get("/slow"),
        get("/docs"),
        get("/metrics"),
        get("/healthz", "a", "connection: close"),
    ),
    *(post("/things", 3, JSON) + b"[1]", post("/things", 200_000, JSON), b"POST /things" + HEAD),
    *(
        b"transfer-encoding: chunked\r\n\r\n",
        b"3\r\n[1]\r\n",
        b"0\r\n\r\n",
        b"0\r\nx: y\r\n\r\n",
        b"ffffffffffff\r\n",
    ),
    *(b"content-length: 5\r\n", b"content-length: 6\r\n\r\n", b"expect: 100-continue\r\n", b"a: b\r\n" * 50),
    *(b"OPTIONS *" + HEAD + b"\r\n", b"CONNECT a:1" + HEAD + b"\r\n", b"HEAD /healthz" + HEAD + b"\r\n"),
    *(
        b"GET http://x/healthz" + HEAD + b"\r\n",
        b"GET /%00%ff?%zz" + HEAD + b"\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
    ),
    *(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\r\n", b"x" * 5_000, bytes(range(256)), b"\xff\xfe GET"),
    get("/healthz", "a", "connection: upgrade", "upgrade: websocket"),
)


def refused(reason: Refused) -> float:
    return float(HTTP_REFUSED.labels(reason.value)._value.get())


async def is_well(port: int) -> bool:
    """Whether a good client is served at once."""
    client = await Client.connect(port)
    async with asyncio.timeout(2):
        await client.send(get("/healthz"))
        status, _, _ = await client.answer()
    client.hang_up()
    return status == 200


async def test_headers_that_never_end_are_cut_at_their_limit() -> None:
    before = refused(Refused.LONG_HEADERS)
    async with serving() as (port, _):
        client = await Client.connect(port)
        await client.send(b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"y" * 64_000)
        assert (await client.problem())["status"] == 431
        assert await is_well(port)
    assert refused(Refused.LONG_HEADERS) == before + 1


async def test_many_headers_together_are_cut_at_their_limit() -> None:
    async with serving() as (port, _):
        client = await Client.connect(port)
        await client.send(get("/healthz", "localhost", *[f"x-{i}: {'y' * 90}" for i in range(100)]))
        assert (await client.problem())["status"] == 431


async def test_headers_that_begin_right_behind_a_body_are_cut_at_their_limit_too() -> None:
    async with serving() as (port, _):
        client = await Client.connect(port)
        await client.send(post("/things", 3, JSON) + b"[1]GET /healthz HTTP/1.1\r\nhost: a\r\n")
        assert (await client.answer())[0] == 200
        for number in range(5):
            await client.send(f"x-{number}: {'y' * 900}\r\n".encode())
        await client.send(b"\r\n")
        assert (await client.problem())["status"] == 431


class Wire:
    """A transport that keeps what is written, call by call."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []
        self.is_closing = lambda: False
        self.write = self.calls.append


class Writer:
    """A connection of which only the loop is asked."""

    def __init__(self) -> None:
        self.loop, self.ending = asyncio.get_running_loop(), False


@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        ([b"head", b"body"], [b"headbody"]),
        ([b"head"], [b"head"]),
        ([b"head", b""], [b"head"]),
        ([b"head", b"a", b"b", b"c"], [b"heada", b"bc"]),
        ([b"head", b"a", b"b"], [b"heada", b"b"]),
        ([b"head", b"x" * MAX_JOINED], [b"head", b"x" * MAX_JOINED]),
    ],
    ids=["two", "head only", "no body", "four", "three", "large"],
)
async def test_pieces_are_written_in_their_order_two_in_one_call(
    pieces: list[bytes], calls: list[bytes]
) -> None:
    wire: Any = Wire()
    writer: Any = Writer()
    transport = Transport(wire, writer)
    for piece in pieces:
        transport.write(piece)
    await asyncio.sleep(0)
    assert wire.calls == calls, "none waits longer than an iteration of the loop"


async def test_a_header_below_the_limit_passes() -> None:
    async with serving() as (port, _):
        client = await Client.connect(port)
        await client.send(get("/healthz", "localhost", "x: " + "y" * 3_900))
        assert (await client.answer())[0] == 200


@pytest.mark.parametrize("begin", [b"GET /", b"\r\n", b"GET / HTTP/1.1\r\nhost: localhost\r\nx"])
async def test_headers_that_come_too_slowly_are_ended(begin: bytes) -> None:
    async with serving(QUICK) as (port, _):
        client = await Client.connect(port)

        async def drip() -> None:
            await client.send(begin)
            while True:
                await asyncio.sleep(0.1)
                await client.send(b"\r\n" if begin == b"\r\n" else b"y")

        dripping = asyncio.create_task(drip())
        assert (await client.problem())["status"] == 408
        dripping.cancel()


async def test_a_connection_that_says_nothing_is_ended() -> None:
    async with serving(QUICK) as (port, _):
        client = await Client.connect(port)
        assert await client.closed() == b""


async def test_a_connection_idle_after_a_request_is_ended() -> None:
    async with serving(QUICK) as (port, _):
        client = await Client.connect(port)
        await client.send(get("/healthz"))
        assert (await client.answer())[0] == 200
        assert await client.closed() == b""


async def test_a_body_that_comes_too_slowly_is_ended() -> None:
    before = refused(Refused.SLOW_BODY)
    async with serving(QUICK) as (port, _):
        client = await Client.connect(port)
        await client.send(post("/things", 1_000, JSON) + b"[")
        assert (await client.problem())["status"] == 408
    assert refused(Refused.SLOW_BODY) == before + 1


async def test_a_slow_body_that_moves_is_taken() -> None:
    async with serving(QUICK) as (port, _):
        client = await Client.connect(port)
        await client.send(post("/things", 6_002, JSON) + b"[")
        for _ in range(
            15
        ):  # 400 bytes each 0.1 s, three windows long, where 1,000 bytes a second are asked for
            await client.send(b" " * 400)
            await asyncio.sleep(0.1)
        await client.send(b"]")
        assert (await client.answer())[0] == 200


async def test_a_long_poll_outlives_the_limits_of_headers_and_idling() -> None:
    async with serving(QUICK) as (port, service):
        client = await Client.connect(port)
        await client.send(get("/slow"))
        await service.begun.wait()
        await asyncio.sleep(2)
        assert not client.reader.at_eof() and not service.cut_off.is_set()


async def test_a_connection_whose_answer_nobody_reads_is_closed() -> None:
    before = refused(Refused.STALLED)
    async with serving(replace(PATIENT, stall_timeout=0.5)) as (port, _):
        client = await Client.connect(port)
        await client.send(get("/large"))
        await until(lambda: refused(Refused.STALLED) > before)
        assert await is_well(port)


async def test_many_half_open_requests_make_room_for_a_good_one() -> None:
    before = refused(Refused.DISPLACED)
    async with serving(replace(PATIENT, max_connections=50)) as (port, _):
        clients = [await Client.connect(port) for _ in range(200)]
        for client in clients:
            client.writer.write(b"GET / HTTP/1.1\r\n")
        assert await is_well(port)
        assert HTTP_CONNECTIONS._value.get() <= 51
    assert refused(Refused.DISPLACED) >= before + 150


async def test_while_all_connections_have_requests_another_is_answered_503_at_once() -> None:
    before = refused(Refused.TOO_MANY)
    async with serving(replace(PATIENT, max_connections=3)) as (port, service):
        clients = [await Client.connect(port) for _ in range(3)]
        for client in clients:
            service.begun.clear()
            await client.send(get("/slow"))
            await service.begun.wait()
        client = await Client.connect(port)
        status, headers, _ = await client.answer()
        assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
        clients[0].hang_up()
        await service.cut_off.wait()
        await until(lambda: refused(Refused.TOO_MANY) > before and HTTP_CONNECTIONS._value.get() < 3)
        assert await is_well(port)


@pytest.mark.parametrize("size", [200_000, 20_000_000])
async def test_an_early_413_reaches_a_client_that_goes_on_sending(size: int) -> None:
    async with serving() as (port, _):
        client = await Client.connect(port)
        await client.send(post("/things", size, JSON))
        sending = asyncio.create_task(client.send(b" " * size))
        status, headers, body = await client.answer()
        assert (status, headers["connection"]) == (413, "close")
        assert str(MAX_BODY).encode() in body
        await sending
        assert await client.closed() == b""


async def test_a_413_reaches_a_client_that_sends_in_chunks() -> None:
    async with serving() as (port, _):
        client = await Client.connect(port)
        await client.send(post("/things", 0, JSON, CHUNKED).replace(b"content-length: 0\r\n", b""))

        async def chunks() -> None:
            for _ in range(100):
                await client.send(b"%x\r\n%s\r\n" % (50_000, b" " * 50_000))

        sending = asyncio.create_task(chunks())
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (413, "close")
        await sending


async def test_what_a_client_sends_after_its_answer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventbus.http.connection.LINGER_BYTES", 1_000_000)
    async with serving() as (port, _):
        client = await Client.connect(port)
        await client.send(post("/things", 10**9, JSON))

        async def send_for_ever() -> None:
            while True:
                await client.send(b" " * 100_000)

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(send_for_ever(), 10)


async def test_a_small_body_behind_an_early_answer_leaves_the_connection_usable() -> None:
    async with serving() as (port, _):
        client = await Client.connect(port)
        await client.send(post("/nothing", 3, JSON))
        assert (await client.answer())[0] == 404
        await client.send(b"[1]" + get("/healthz"))
        assert (await client.answer())[0] == 200


async def test_chunks_with_much_around_them_are_refused() -> None:
    async with serving() as (port, _):
        client = await Client.connect(port)
        head = post("/things", 0, JSON, CHUNKED).replace(b"content-length: 0\r\n", b"")
        await client.send(head + b"1\r\n[\r\n")
        sending = asyncio.create_task(client.send(b"1;" + b"x" * 300_000))
        assert (await client.problem())["status"] == 413
        await sending


async def test_what_is_no_http_is_400() -> None:
    async with serving() as (port, _):
        for nonsense in (b"\x16\x03\x01\x02\x00" * 10, b"GET\r\n\r\n", b"CONNECT x:1 HTTP/1.1\r\n\r\n"):
            client = await Client.connect(port)
            await client.send(nonsense)
            assert (await client.problem())["status"] == 400
        assert await is_well(port)


async def test_requests_that_come_at_once_are_answered_in_order_and_bounded() -> None:
    async with serving() as (port, _):
        client = await Client.connect(port)
        await client.send(get("/healthz") * 10)
        assert [(await client.answer())[0] for _ in range(10)] == [200] * 10
        client = await Client.connect(port)
        await client.send(get("/healthz") * 1_000)
        assert (await client.closed()).count(b"HTTP/1.1 200") < 50
        assert await is_well(port)


async def test_a_request_for_another_protocol_is_ignored() -> None:
    async with serving() as (port, _):
        client = await Client.connect(port)
        await client.send(get("/healthz", "localhost", "connection: upgrade", "upgrade: h2c"))
        assert (await client.answer())[0] == 200
        assert await client.closed() == b""


async def test_a_client_that_closes_in_its_body_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as (port, _):
        client = await Client.connect(port)
        await client.send(post("/things", 1_000, JSON) + b"[")
        await asyncio.sleep(0.1)
        client.hang_up()
        assert await is_well(port)
        await asyncio.sleep(0.1)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_client_that_closes_while_it_waits_ends_its_handler(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as (port, service):
        client = await Client.connect(port)
        await client.send(get("/slow"))
        await service.begun.wait()
        client.hang_up()
        async with asyncio.timeout(5):
            await service.cut_off.wait()
        assert await is_well(port)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_client_that_closes_is_noticed_though_nothing_is_read_from_it() -> None:
    async with serving() as (port, service):
        client = await Client.connect(port)
        # The second request waits for the first: reading is paused.
        await client.send(get("/slow") + get("/healthz"))
        await service.begun.wait()
        client.hang_up()
        async with asyncio.timeout(5):
            await service.cut_off.wait()


async def test_a_server_that_stops_waits_for_answers_but_not_for_requests(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun = asyncio.get_running_loop().time()
    async with serving() as (port, service):
        half, waiting = await Client.connect(port), await Client.connect(port)
        await half.send(b"GET / HTTP/1.1\r\n")
        await waiting.send(get("/slow"))
        await service.begun.wait()
        service.stop()
        assert await half.closed(within=3) == b""
        assert await waiting.closed() == b""
    assert asyncio.get_running_loop().time() - begun < 10
    assert not any(record.exc_info for record in caplog.records)


async def test_random_bytes_end_no_server_and_leave_no_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A thousand, of pieces of HTTP in any order, some with bytes changed, cut anywhere, and left at any time."""
    chance, waiting = random.Random(1), range(20)

    async def stream(port: int) -> None:
        client = await Client.connect(port)
        data = bytearray(b"".join(chance.choices(PIECES, k=chance.randint(1, 8))))
        for _ in range(chance.choice((0, 0, 3))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        with contextlib.suppress(OSError, RuntimeError, TimeoutError):  # uvloop: the handler is closed
            while data:
                size = chance.choice((1, 7, 100, 5_000, len(data)))
                await client.send(bytes(data[:size]))
                del data[:size]
                await asyncio.sleep(0)
            if chance.random() < 0.3:
                client.writer.write_eof()
            async with asyncio.timeout(chance.random() * 0.1):
                await client.reader.read(10_000)
        client.hang_up()

    async def streams(port: int) -> None:
        for _ in range(50):
            await stream(port)

    async with serving(replace(QUICK, max_connections=100)) as (port, _):
        await asyncio.gather(*(streams(port) for _ in waiting))
        await until(lambda: HTTP_CONNECTIONS._value.get() == 0)
        assert await is_well(port)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_connection_whose_sweep_fails_is_closed_and_the_others_are_swept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    connections, aborted, swept = OpenConnections(PATIENT, Refusals()), list[str](), list[str]()

    class Stub:
        def __init__(self, name: str) -> None:
            self.name = name

        def abort(self) -> None:
            aborted.append(self.name)

        def sweep(self, now: float) -> None:
            if self.name == "bad":
                raise RuntimeError("a bug")
            swept.append(self.name)

    for name in ("good", "bad", "better"):
        assert connections.admit(Stub(name))
    connections.sweep(1.0)
    connections.sweep(2.0)
    assert aborted == ["bad"] and sorted(swept) == ["better", "better", "good", "good"]
    assert "a bug" in caplog.text


def test_refusals_are_logged_once_a_kind_and_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    refusals = Refusals(lambda: now)
    for _ in range(1_000):
        refusals.note(Refused.SLOW_BODY)
        refusals.note(Refused.TOO_MANY)
    assert len(caplog.records) == 2
    now = 61.0
    refusals.log_due()
    assert len(caplog.records) == 4
    assert "999 since" in caplog.messages[-1]
    refusals.log_due()
    assert len(caplog.records) == 4


def test_descriptors_are_raised_and_a_share_is_kept() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert raise_descriptors() == hard
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    assert room_for(4_096, 1_048_576) == 4_096
    assert room_for(4_096, 1_024) == 768
    assert room_for(4_096, 64) == 48
    assert HttpLimits().max_connections == 4_096
