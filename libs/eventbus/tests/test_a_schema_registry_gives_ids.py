"""With a schema registry its ids are used, and no value is ever read as what it is not."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eventbus import Decider, Mirror
from eventbus.codec import Codec, load_packages
from eventbus.model.errors import Misconfigured, Poison, Retryable, UnknownSchema
from eventbus.model.folding import Folded
from eventbus.model.record import Headers, Raw
from eventbus.model.versions import Version
from eventbus.processing.context import turn_context
from eventbus.processing.outgoing import Outgoing, produced
from eventbus.processing.work import WorkItem
from eventbus.registry.agreement import Entry, entries
from eventbus.registry.connection import LOOK_UP, PAUSE, SchemaRegistry
from eventbus.settings import RegistrySettings, Settings
from eventbus.wire_format import DATASCHEMA
from meters.messages import Counter, MeterRead, ReadMeter
from parcels.messages import ParcelSent, ParcelWeighed
from testbed.registry import Answer, FakeRegistry, serving

PACKAGES = ("parcels", "meters")
KNOWN = {str(entry.version): entry for entry in entries(load_packages(PACKAGES))}
WEIGHED = KNOWN["ParcelWeighed.v1"]
EVENT = ParcelWeighed(parcel_id="p1", grams=7, timestamp=1)
FAR = 100_001
"""Where a registry in the cloud begins: above all pinned ids."""


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with serving(FakeRegistry(next_id=FAR)) as registry:
        yield registry


Connect = Callable[..., SchemaRegistry]


@pytest.fixture
def connect(fake: FakeRegistry, loop: asyncio.AbstractEventLoop) -> Iterator[Connect]:
    opened: list[SchemaRegistry] = []

    def connected(**settings: Any) -> SchemaRegistry:
        values: dict[str, Any] = {"url": fake.url, "timeout": 0.5} | settings
        registry = SchemaRegistry(RegistrySettings(**values), load_packages(PACKAGES), loop)
        opened.append(registry)
        return registry

    yield connected
    for registry in opened:
        registry.close()


def ids_of(registry: SchemaRegistry) -> dict[Version, int]:
    """What is agreed upon at once: a registry that does not answer raises Retryable here."""

    def tell(reason: str) -> None:
        if reason != f"waiting for the schema registry: {registry._api.url}":
            raise Retryable(reason)

    ids = registry.wait_for_ids(threading.Event(), tell)
    assert ids is not None
    return ids


def pinned_into(fake: FakeRegistry) -> None:
    fake.schemas = {entry.pinned: entry.text for entry in KNOWN.values()}


def raw(value: bytes, headers: Headers | None = None) -> Raw:
    return Raw("parcel.events", 0, 7, b"p1", value, headers or [], 5)


def put(fake: FakeRegistry, entry: Entry, schema_id: int) -> None:
    fake.schemas[schema_id] = entry.text
    fake.subjects.setdefault(entry.subject, []).append(schema_id)


def test_where_the_registry_has_the_pinned_ids_nothing_changes_on_the_wire(
    fake: FakeRegistry, connect: Connect
) -> None:
    pinned_into(fake)

    codec = Codec(*PACKAGES, ids=ids_of(connect()))

    value = codec.encode(EVENT)
    assert value == Codec(*PACKAGES).encode(EVENT)
    assert codec.schema_headers(value) == []
    assert {line.partition(" ")[0] for line in fake.asked} == {"GET"}, "it has no need to write"


def test_what_the_registry_lacks_is_registered_and_written_under_its_ids(
    fake: FakeRegistry, connect: Connect
) -> None:
    ids = ids_of(connect())

    assert sorted(ids.values()) == list(range(FAR, FAR + len(KNOWN)))
    assert set(fake.subjects) >= {"parcels.ParcelWeighed", "meters.MeterRead", "eventbus.Redrive"}
    assert len(fake.subjects["meters.MeterRead"]) == 3
    codec = Codec(*PACKAGES, ids=ids)
    value = codec.encode(EVENT)
    assert struct.unpack(">bI", value[:5]) == (0, ids[WEIGHED.version])
    assert codec.decode(raw(value)).message == EVENT, "also without headers"
    assert codec.decode_value(Codec(*PACKAGES).encode(EVENT)) == EVENT, "what was written under pinned ids"
    assert ids_of(connect()) == ids, "a second process, or a second start"


def test_documentation_and_defaults_may_differ_in_the_registry(fake: FakeRegistry, connect: Connect) -> None:
    schema = json.loads(WEIGHED.text)
    schema = {"doc": "other words", "fields": schema.pop("fields"), **schema}
    fake.schemas[500] = json.dumps(schema)
    fake.subjects[WEIGHED.subject] = [500]

    assert ids_of(connect())[WEIGHED.version] == 500


def test_versions_that_differ_in_a_default_only_get_an_id_each(
    fake: FakeRegistry, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    v2, later = KNOWN["MeterRead.v2"], KNOWN["MeterRead.v2.1"]
    schema = json.loads(v2.text)
    for field in schema["fields"]:
        if field["name"] == "version":
            field["default"] = "2.1"
    alike = replace(later, text=json.dumps(schema), form=v2.form)
    known = [alike if entry is later else entry for entry in KNOWN.values()]
    monkeypatch.setattr("eventbus.registry.connection.entries", lambda packages: known)

    ids = ids_of(connect())

    assert ids[v2.version] != ids[later.version]
    assert ids_of(connect()) == ids


def other(**change: Any) -> str:
    return json.dumps(json.loads(WEIGHED.text) | change)


@pytest.mark.parametrize(
    "schema",
    [
        KNOWN["ParcelSent.v1"].text,
        other(fields=[{"name": "parcelId", "type": "string"}]),
        '"string"',
        "nonsense",
        "[" * 100_000,
    ],
    ids=["another of ours", "other fields", "another kind", "no JSON", "a deep one"],
)
def test_another_schema_under_a_pinned_id_is_refused_before_anything_is_written(
    fake: FakeRegistry, connect: Connect, schema: str
) -> None:
    fake.schemas[WEIGHED.pinned] = schema

    with pytest.raises(
        Misconfigured, match=r"another schema under the id 5, .*ParcelWeighed\.v1.*schema-register"
    ):
        ids_of(connect())
    assert fake.subjects == {}


def test_an_id_that_is_pinned_to_another_version_is_refused(fake: FakeRegistry, connect: Connect) -> None:
    """A registry that counts from 1, without the pinned ids: its numbers mean something here already."""
    fake.next_id = WEIGHED.pinned
    fake.subjects["parcels.SendParcel"] = []

    with pytest.raises(Misconfigured, match=r"under the id 5, which is that of ParcelWeighed\.v1"):
        ids_of(connect())


def test_one_id_for_two_versions_is_refused(fake: FakeRegistry, connect: Connect) -> None:
    fake.trouble = lambda method, path: (200, {"id": 700}) if method == "POST" else None
    fake.schemas[700] = KNOWN["SendParcel.v1"].text

    with pytest.raises(Misconfigured, match=r"gives 700 as the id of SendParcel\.v2 .*another schema"):
        ids_of(connect())


def test_an_id_under_which_there_is_nothing_is_refused(fake: FakeRegistry, connect: Connect) -> None:
    fake.trouble = lambda method, path: (200, {"id": 700}) if method == "POST" else None

    with pytest.raises(Misconfigured, match=r"gives 700 as the id of SendParcel\.v1 .*nothing under that id"):
        ids_of(connect())


def test_with_registering_off_a_missing_version_is_named(fake: FakeRegistry, connect: Connect) -> None:
    with pytest.raises(
        Misconfigured, match=r"no SendParcel\.v1 under the subject parcels\.SendParcel: .*schema-reg"
    ):
        ids_of(connect(auto_register=False))
    assert fake.schemas == {}


HUGE = b'{"schema": "' + b"x" * 1_500_000 + b'"}'
NONSENSE: dict[str, Answer | bytes] = {
    "no JSON": b"<html>Please log in</html>",
    "a list": (200, [1]),
    "no schema in it": (200, {"id": 5}),
    "a schema that is no text": (200, {"schema": {"type": "string"}}),
    "a body without end": HUGE,
    "an error of its own": (500, {"error_code": 50001, "message": "store"}),
    "too many requests": (429, {}),
    "deep JSON": b"[" * 200_000,
}


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
def test_a_registry_that_answers_nonsense_is_waited_for(
    fake: FakeRegistry, connect: Connect, answer: Answer | bytes
) -> None:
    fake.trouble = lambda method, path: answer

    with pytest.raises(
        Retryable, match=r"waiting for the schema registry: the schema of id 1: .*127\.0\.0\.1"
    ):
        ids_of(connect())
    assert fake.subjects == {}


@pytest.mark.parametrize("schema_id", [0, -1, True, 2**31, 1.5, "7", None])
def test_a_number_that_is_no_id_is_nonsense(fake: FakeRegistry, connect: Connect, schema_id: object) -> None:
    fake.trouble = lambda method, path: (200, {"id": schema_id}) if method == "POST" else None

    with pytest.raises(Retryable, match=r"of parcels\.SendParcel: .* where an id is expected"):
        ids_of(connect())


@pytest.mark.parametrize(
    ("method", "answer", "complaint"),
    [
        ("GET", (401, {"error_code": 401, "message": "Unauthorized"}), "401"),
        ("GET", (403, b"forbidden"), "403"),
        ("GET", (404, b"<html>no such page</html>"), "404"),
        ("GET", (404, {"error_code": [40403]}), "404"),
        ("POST", (404, {"error_code": 404, "message": "HTTP 404 Not Found"}), "404"),
        (
            "POST",
            (409, {"error_code": 409, "message": "incompatible"}),
            r"incompatible.*set it to NONE there",
        ),
        ("POST", (422, {"error_code": 42201, "message": "Invalid schema"}), "Invalid schema"),
    ],
)
def test_a_refusal_names_url_and_subject_or_id_and_no_credentials(
    fake: FakeRegistry, connect: Connect, method: str, answer: Answer, complaint: str
) -> None:
    fake.trouble = lambda asked, path: answer if asked == method else None
    registry = connect(basic_auth_user_info="anne:s3cret")

    with pytest.raises(Misconfigured, match=complaint) as caught:
        ids_of(registry)

    assert fake.url in str(caught.value)
    assert "schema of id 1" in str(caught.value) or "parcels.SendParcel" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_credentials_are_sent_and_never_shown(fake: FakeRegistry, connect: Connect) -> None:
    pinned_into(fake)
    settings = RegistrySettings(url=fake.url, basic_auth_user_info="anne:s3cret")

    ids_of(connect(basic_auth_user_info="anne:s3cret"))

    assert fake.authorizations == {"Basic YW5uZTpzM2NyZXQ="}
    assert "s3cret" not in repr(settings) + str(settings)
    for status, kind in {500: Retryable, 404: Misconfigured}.items():
        echo = b"x" * 280 + b"you said anne:s3cret, YW5uZTpzM2NyZXQ="
        fake.trouble = lambda method, path, status=status, echo=echo: (status, echo)  # type: ignore[misc]
        with pytest.raises(kind) as caught:
            ids_of(connect(basic_auth_user_info="anne:s3cret"))
        for secret in ("s3cret", "anne:s3", "YW5u"):
            assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"url": "http://anne:s3cret@127.0.0.1:1"}, "BASIC_AUTH_USER_INFO"),
        ({"url": "registry:8081"}, "SCHEMA_REGISTRY_URL is 'registry:8081'"),
        ({"ssl_ca_location": "/nowhere/ca.pem"}, "/nowhere/ca.pem"),
        ({"ssl_certificate_location": __file__}, "PEM"),
    ],
)
def test_settings_that_cannot_be_used_are_named(connect: Connect, settings: Any, complaint: str) -> None:
    with pytest.raises(Misconfigured, match=complaint) as caught:
        connect(**settings)
    assert "s3cret" not in str(caught.value)


def test_a_registry_that_is_away_is_waited_for_until_it_comes(
    fake: FakeRegistry, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned_into(fake)
    said: list[str] = []
    fake.trouble = lambda method, path: (503, b"starting")

    def tell(reason: str) -> None:
        said.append(reason)
        if len(said) == 2:
            fake.trouble = lambda method, path: None

    ids = connect().wait_for_ids(threading.Event(), tell)

    assert ids is not None
    assert ids[WEIGHED.version] == WEIGHED.pinned
    assert said[0] == f"waiting for the schema registry: {fake.url}"
    assert said[1].startswith("waiting for the schema registry: the schema of id 1: ")
    assert len(said) == 2


def test_a_process_that_is_stopped_waits_no_more(fake: FakeRegistry, connect: Connect) -> None:
    held = threading.Event()
    stopping = threading.Event()

    def hold(method: str, path: str) -> None:
        stopping.set()
        held.wait(10)

    fake.trouble = hold
    try:
        assert connect(timeout=10).wait_for_ids(stopping, lambda reason: None) is None
    finally:
        held.set()


def silence(was_ended: bool) -> None:
    assert was_ended, "nobody waits this long for an answer"


def test_a_registry_that_never_answers_is_as_one_that_is_away(fake: FakeRegistry, connect: Connect) -> None:
    held = threading.Event()
    fake.trouble = lambda method, path: silence(held.wait(10))
    try:
        with pytest.raises(Retryable, match="no answer"):
            ids_of(connect(timeout=0.1))
    finally:
        held.set()


def written_under(ids: dict[Version, int], message: Any = EVENT) -> Raw:
    codec = Codec(*PACKAGES, ids=ids)
    value = codec.encode(message)
    return raw(value, codec.schema_headers(value))


def test_a_process_without_the_registry_reads_what_one_with_it_wrote() -> None:
    record = written_under({WEIGHED.version: FAR})

    assert record.header(DATASCHEMA) == "urn:avsc:ParcelWeighed.v1"
    assert Codec(*PACKAGES).decode(record).message == EVENT


def test_a_registry_that_was_numbered_anew_has_nothing_read_as_what_it_is_not() -> None:
    old = written_under({WEIGHED.version: FAR})
    anew = Codec(*PACKAGES, ids={KNOWN["ParcelLost.v1"].version: FAR})

    with pytest.raises(
        UnknownSchema, match=r"written in ParcelWeighed\.v1 under the schema id 100001, .*ParcelLost"
    ):
        anew.decode(old)


def test_two_versions_of_one_message_that_changed_their_ids_are_not_mixed_up() -> None:
    versions = KNOWN["MeterRead.v2"].version, KNOWN["MeterRead.v2.1"].version
    before = dict(zip(versions, (FAR, FAR + 1), strict=True))
    after = dict(zip(versions, (FAR + 1, FAR), strict=True))
    message = MeterRead(meter_id="m1", units=3, timestamp=1)
    record = written_under(before, message)._replace(key=message.key.encode())

    assert record.header(DATASCHEMA) == "urn:avsc:MeterRead.v2", "written.json holds it back"
    read = Codec(*PACKAGES, ids=before).decode(record).message
    assert isinstance(read, MeterRead)
    assert (read.units, read.version) == (3, "2.0")
    with pytest.raises(UnknownSchema):
        Codec(*PACKAGES, ids=after).decode(record)


def test_a_number_that_newer_code_pins_is_not_read_as_what_older_code_wrote_under_it() -> None:
    """Older code with a registry, newer code without: the number 5 as the registry gives it, and as a pinned id."""
    value = (
        struct.pack(">bI", 0, WEIGHED.pinned)
        + Codec(*PACKAGES).encode(ParcelSent(parcel_id="p1", sender="a"))[5:]
    )

    with pytest.raises(UnknownSchema, match=r"ParcelSent\.v1 under the schema id 5, .*ParcelWeighed\.v1"):
        Codec(*PACKAGES).decode(raw(value, [(DATASCHEMA, b"urn:avsc:ParcelSent.v1")]))


@pytest.mark.parametrize(
    "named", ["urn:avsc:ParcelWeighed.v9", "urn:avsc:", "urn:avsc:Nobody.v1", "urn:avsc:\x1b[2J"]
)
def test_a_named_version_that_this_code_does_not_know_is_an_unknown_schema(named: str) -> None:
    for schema_id in (FAR, WEIGHED.pinned):
        value = struct.pack(">bI", 0, schema_id) + Codec(*PACKAGES).encode(EVENT)[5:]
        with pytest.raises(UnknownSchema):
            Codec(*PACKAGES).decode(raw(value, [(DATASCHEMA, named.encode())]))


@pytest.mark.parametrize("named", [b"https://example.org/schemas/1", b"", b"\xff"])
def test_a_dataschema_of_somebody_else_says_nothing_here(named: bytes) -> None:
    assert (
        Codec(*PACKAGES).decode(raw(Codec(*PACKAGES).encode(EVENT), [(DATASCHEMA, named)])).message == EVENT
    )


def test_an_id_that_a_foreign_producer_registered_is_looked_up_once(
    fake: FakeRegistry, connect: Connect
) -> None:
    pinned_into(fake)
    registry = connect()
    codec = Codec(*PACKAGES, ids=ids_of(registry), find=registry.find)
    fake.schemas[777] = other(doc="registered by a Java program")
    value = struct.pack(">bI", 0, 777) + codec.encode(EVENT)[5:]
    fake.asked.clear()

    assert codec.decode_value(value) == codec.decode_value(value) == EVENT
    assert fake.asked == ["GET /schemas/ids/777"]


@pytest.mark.parametrize(
    "schema",
    [None, other(name="Else"), other(fields=[{"name": "parcelId", "type": "string"}]), "nonsense"],
    ids=["nothing", "another name", "other fields", "no schema"],
)
def test_an_id_of_no_schema_of_ours_stays_unknown_and_is_not_asked_for_again_and_again(
    fake: FakeRegistry, connect: Connect, schema: str | None
) -> None:
    registry = connect()
    codec = Codec(*PACKAGES, find=registry.find)
    if schema is not None:
        fake.schemas[777] = schema
    value = struct.pack(">bI", 0, 777) + codec.encode(EVENT)[5:]

    for _ in range(3):
        with pytest.raises(UnknownSchema, match="unknown schema id 777"):
            codec.decode_value(value)
    assert fake.asked == ["GET /schemas/ids/777"]


def test_records_with_ever_new_ids_do_not_keep_the_processor_busy(
    fake: FakeRegistry, loop: asyncio.AbstractEventLoop
) -> None:
    """Look-ups of 0.3 s, one after the other: none is begun once they have taken a second."""
    now, took = [0.0], 0.3
    settings = RegistrySettings(url=fake.url)
    registry = SchemaRegistry(
        settings, load_packages(PACKAGES), loop, monotonic=lambda: now[0] + took * len(fake.asked)
    )

    assert [registry.find(number) for number in range(1_000, 1_100)] == [None] * 100
    assert len(fake.asked) == 4
    now[0] += PAUSE
    registry.find(2_000)
    assert len(fake.asked) == 5
    registry.close()


def test_a_look_up_that_is_not_answered_is_given_up_and_none_is_made_for_a_while(
    fake: FakeRegistry, connect: Connect
) -> None:
    held = threading.Event()
    fake.trouble = lambda method, path: silence(held.wait(10 * LOOK_UP))
    registry = connect(timeout=10 * LOOK_UP)
    try:
        assert registry.find(777) is None
        assert registry.find(778) is None
        assert fake.asked == ["GET /schemas/ids/777"]
    finally:
        held.set()


def test_no_other_error_than_poison_comes_of_an_id(fake: FakeRegistry, connect: Connect) -> None:
    codec = Codec(*PACKAGES, find=connect().find)
    for damage in (b"", b"\0\0", b"\0\xff\xff\xff\xff", b"\0\x00\x00\x00\x05", b"\1\0\0\0\5x"):
        with pytest.raises(Poison):
            codec.decode(raw(damage))


async def test_the_event_loop_does_not_wait_for_itself(fake: FakeRegistry) -> None:
    settings = RegistrySettings(url=fake.url)
    registry = SchemaRegistry(settings, load_packages(PACKAGES), asyncio.get_running_loop())

    assert registry.find(777) is None
    assert fake.asked == []


def test_the_record_in_a_mirror_names_its_own_version_and_not_that_of_the_event() -> None:
    versions = [KNOWN[name].version for name in ("MeterRead.v1", "MeterRead.v2")]
    codec = Codec(*PACKAGES, ids=dict(zip(versions, (FAR, FAR + 1), strict=True)))

    event, copy = mirrored(codec)

    assert (event.topic, copy.topic) == ("meter.events", "meter.events.v1")
    named = [dict(record.headers)[DATASCHEMA] for record in (event, copy)]
    assert named == [b"urn:avsc:MeterRead.v2", b"urn:avsc:MeterRead.v1"]
    for record in (event, copy):
        assert [name for name, _ in record.headers].count(DATASCHEMA) == 1
        written = Raw(record.topic, 0, 0, record.key, record.value, record.headers, 1)
        assert codec.decode(written).message == Codec(*PACKAGES).decode(written).message


def mirrored(codec: Codec) -> list[Outgoing]:
    """The own event and its copy in version 1 that one input leads to."""
    read = MeterRead(meter_id="m1", units=7, counters=(Counter(name="", units=7),))
    decider: Decider[int] = Decider(
        "meter.events", (ReadMeter,), 0, lambda message, state: [read], lambda state, event: state + 1
    )
    context = turn_context(
        "meter",
        {decider.log: decider},
        codec,
        Settings(),
        None,  # type: ignore[arg-type]
        lambda key: 0,
        clock=lambda: 9,
        jitter=lambda: 0.0,
        mirrors=(Mirror(MeterRead, major=1),),
    )
    raw = Raw("meter.commands", 0, 0, b"m1", codec.encode(ReadMeter(meter_id="m1")), [], 1)
    records, _ = produced(context, WorkItem.of(decider, raw, codec.decode(raw)), Folded(0), [read])
    return records


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``cert.pem`` and ``key.pem`` of 127.0.0.1, signed by itself."""
    folder = tmp_path_factory.mktemp("tls")
    if shutil.which("openssl") is None:
        pytest.skip("the program openssl, which makes certificates, is not installed here")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=registry"
    )
    extra = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([*command.split(), *extra], cwd=folder, check=True, capture_output=True)
    return folder


def test_over_tls_both_sides_may_ask_for_a_certificate(certificates: Path, connect: Connect) -> None:
    cert, key = certificates / "cert.pem", certificates / "key.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.load_verify_locations(cert)
    context.verify_mode = ssl.CERT_REQUIRED
    with serving(FakeRegistry(), context) as secure:
        pinned_into(secure)
        trusting = {"url": secure.url, "ssl_ca_location": cert}
        known = {**trusting, "ssl_certificate_location": cert, "ssl_key_location": key}
        assert ids_of(connect(**known))[WEIGHED.version] == WEIGHED.pinned
        with pytest.raises(Retryable, match="https://127"):
            ids_of(connect(**trusting))
        with pytest.raises(Retryable, match="certificate verify failed"):
            ids_of(connect(url=secure.url))
