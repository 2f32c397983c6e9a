"""The pure parts of the local stack: which way it runs, what it starts, and what it says when it cannot."""

from __future__ import annotations

import configparser
import hashlib
import io
import json
import os
import shlex
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from supervisor.datatypes import dict_of_key_value_pairs

from tests.support.processes import run_python
from tools.stack import gateway
from tools.stack.access_files import in_containers
from tools.stack.compose import compose_env, env_file
from tools.stack.jars import find_jars, sha512_of
from tools.stack.java import find_java, major_version
from tools.stack.kafka import server_properties
from tools.stack.mode import choose
from tools.stack.plan import ports, programs
from tools.stack.ports import free_port, require_free, taken_message
from tools.stack.private import close_to_others, write_private
from tools.stack.ready import curl_line, wait_ready
from tools.stack.settings import (
    MAX_REPLICAS,
    ROOT,
    SERVICES,
    Record,
    StackError,
    StackSettings,
    parse_scale,
    passed_on,
)
from tools.stack.supervisor import Program, Supervisor, socket_path, supervisor_config

SETTINGS = StackSettings(run_dir=Path("/r"), port_base=8000, kafka_port=9092, project="orders")


def no_engine() -> str:
    return "no Docker engine answers"


def an_engine() -> str:
    return ""


@pytest.mark.parametrize(
    ("forced", "running", "engine", "mode"),
    [
        ("", "", an_engine, "docker"),
        ("", "", no_engine, "local"),
        ("local", "", an_engine, "local"),
        ("docker", "", an_engine, "docker"),
        ("", "local", an_engine, "local"),
        ("", "docker", no_engine, "docker"),
        ("docker", "docker", an_engine, "docker"),
    ],
)
def test_the_mode_is_what_is_forced_then_what_runs_then_what_the_machine_has(
    forced: str, running: str, engine: Callable[[], str], mode: str
) -> None:
    assert choose(forced, running, engine).mode == mode


@pytest.mark.parametrize(
    ("forced", "running", "says"),
    [
        ("docker", "", "no Docker engine answers: start Docker, or run with STACK=local"),
        ("podman", "", "STACK=podman is unknown"),
        ("docker", "local", "runs as local processes now: `make down` first"),
    ],
)
def test_a_mode_that_cannot_be_is_refused_with_its_remedy(forced: str, running: str, says: str) -> None:
    with pytest.raises(StackError, match=says):
        choose(forced, running, no_engine)


def test_the_choice_is_told_in_one_line() -> None:
    assert choose("", "", no_engine).sentence == (
        "Running as local processes: no Docker engine answers (with an engine it would be Docker Compose)."
    )


def test_a_taken_port_is_named_with_its_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            StackError, match=rf"Port {port} \(payment\) is in use by another program: stop it"
        ):
            require_free({"payment": port, "order": free_port()}, SETTINGS)


def test_the_remedy_for_taken_ports_moves_what_must_move() -> None:
    message = taken_message({"kafka": 9092, "order": 8000}, SETTINGS)
    assert message == (
        "Ports 9092 (kafka), 8000 (order) are in use by another program: stop it, "
        "or move the stack with `STACK_KAFKA_PORT=9192 STACK_PORT_BASE=8200 make up`."
    )
    assert "STACK_PORT_BASE" not in taken_message({"kafka": 9092}, SETTINGS)


def test_replicas_listen_ten_ports_apart_and_never_collide() -> None:
    everything = ports(SETTINGS, dict.fromkeys(SERVICES, MAX_REPLICAS))
    assert everything["payment"] == 8001
    assert everything["payment-2"] == 8021
    assert everything["simulator"] == 8090
    assert len(set(everything.values())) == len(everything)


def test_the_environment_decides_and_arguments_win(tmp_path: Path) -> None:
    env = {"STACK_PORT_BASE": "18000", "STACK_KAFKA_PORT": "19092", "STACK_RUN_DIR": str(tmp_path / "a")}
    settings = StackSettings.from_env(env, kafka_port=29092)
    assert (settings.port("notification", 1), settings.kafka_port) == (18013, 29092)
    assert settings.run_dir == tmp_path / "a"
    assert settings.project == "orders-18000"
    with pytest.raises(StackError, match="STACK_PORT_BASE=eighty is not a port number"):
        StackSettings.from_env({"STACK_PORT_BASE": "eighty"})


def test_every_process_is_planned_with_its_own_port_and_the_stacks_addresses() -> None:
    record = Record(scale=Record().scale | {"payment": 2, "notification": 0}, env={"ORDER_X": "1"})
    planned = {program.name: program for program in programs(SETTINGS, record, ["java"])}
    assert list(planned)[:6] == ["kafka", "simulator", "order", "payment", "payment-1", "inventory"]
    env = planned["payment-1"].env
    assert env["EVENTBUS_HTTP_PORT"] == "8011"
    assert env["EVENTBUS_BOOTSTRAP_SERVERS"] == "127.0.0.1:9092"
    assert env["PAYMENT_GATEWAY_URL"] == "http://127.0.0.1:8090"
    assert env["EVENTBUS_STATE_DIR"] == "/r/state"
    # what is meant for one service restarts no other when it changes
    assert planned["order"].env["ORDER_X"] == "1" and "ORDER_X" not in env


def test_where_haproxy_is_installed_it_answers_for_all_replicas_a_hundred_ports_above() -> None:
    record = Record(scale=Record().scale | {"order": 2, "notification": 0})
    assert "gateway" not in {program.name for program in programs(SETTINGS, record, ["java"])}
    planned = {program.name: program for program in programs(SETTINGS, record, ["java"], "/sbin/haproxy")}
    assert planned["gateway"].command[0] == "/sbin/haproxy"
    assert str(gateway.config_file(SETTINGS.run_dir)) in planned["gateway"].command
    config = gateway.config(SETTINGS, record.scale)
    assert "bind 127.0.0.1:8100\n" in config and "notification" not in config
    assert config.count("127.0.0.1:8000\n") == config.count("127.0.0.1:8010\n") == 2
    listened = ports(SETTINGS, record.scale, with_gateway=True)
    assert (listened["gateway-order"], listened["gateway-inventory"]) == (8100, 8102)
    assert len(set(listened.values())) == len(listened)


def test_the_stacks_own_addresses_win_over_what_is_passed_on() -> None:
    record = Record(env=passed_on({"EVENTBUS_BOOTSTRAP_SERVERS": "elsewhere:1", "PATH": "/bin"}))
    order = next(p for p in programs(SETTINGS, record, ["java"]) if p.name == "order")
    assert order.env["EVENTBUS_BOOTSTRAP_SERVERS"] == "127.0.0.1:9092"
    assert "PATH" not in order.env


@pytest.mark.parametrize(("said", "written"), [({}, "false"), ({"EVENTBUS_OLD_HEADERS": "true"}, "true")])
def test_a_stack_writes_no_old_names_of_headers_unless_it_is_told_to(
    said: dict[str, str], written: str
) -> None:
    record = Record(env=passed_on(said))
    planned = {program.name: program for program in programs(SETTINGS, record, ["java"])}
    written_by = {
        program.env.get("EVENTBUS_OLD_HEADERS") for name, program in planned.items() if name != "kafka"
    }
    assert written_by == {written}


@pytest.mark.parametrize("value", ["plain", "50%", "a,b=c", '{"a": 1}', "it's", "spaces in it", ""])
def test_values_and_commands_survive_the_supervisors_syntax(value: str) -> None:
    program = Program("order", ["/with space/python", "-m", value or "x"], {"A": value, "B": "last"})
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.read_string(supervisor_config(Path("/r"), [program]))
    section = parsed["program:order"]
    assert dict_of_key_value_pairs(section["environment"].replace("%%", "%")) == {"A": value, "B": "last"}
    assert shlex.split(section["command"].replace("%%", "%")) == list(program.command)
    assert section["autorestart"] == "true"


def test_a_value_no_syntax_can_carry_is_refused() -> None:
    with pytest.raises(StackError, match="PAYMENT_X holds a line break or both kinds of quotes"):
        passed_on({"PAYMENT_X": "\"'"})


def test_a_long_run_directory_gets_a_short_socket() -> None:
    assert socket_path(Path("/r")) == Path("/r/supervisor.sock")
    assert len(str(socket_path(Path("/" + "long" * 40)))) < 100


def test_the_broker_is_set_for_failover_in_seconds() -> None:
    text = server_properties(Path("/d"), 9092, 9093, {"num.io.threads": 2})
    properties = dict(line.split("=", 1) for line in text.splitlines())
    assert properties["listeners"] == "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    assert properties["group.consumer.session.timeout.ms"] == "3000"
    assert properties["auto.create.topics.enable"] == "false"
    assert properties["num.io.threads"] == "2"


def test_compose_and_the_local_broker_have_the_same_failover_settings() -> None:
    compose = (Path(__file__).parents[2] / "docker-compose.yml").read_text()
    properties = dict(line.split("=", 1) for line in server_properties(Path("/d"), 1, 2).splitlines())
    for name in (
        "group.consumer.session.timeout.ms",
        "group.consumer.heartbeat.interval.ms",
        "group.consumer.assignors",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        "transaction.max.timeout.ms",
        "message.max.bytes",
        "broker.session.timeout.ms",
        "offsets.retention.minutes",
    ):
        assert f"KAFKA_{name.replace('.', '_').upper()}: {properties[name]}\n" in compose


def test_no_service_is_handed_the_key_of_who_starts_it() -> None:
    assert passed_on({"EVENTBUS_API_KEY": "ebk_secret", "EVENTBUS_MAX_BODY": "1"}) == {
        "EVENTBUS_MAX_BODY": "1"
    }


def test_files_of_access_control_are_found_from_any_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    passed = passed_on(
        {"EVENTBUS_API_KEYS_FILE": "keys.jsonl", "EVENTBUS_OIDC_JWKS": "https://a.example/jwks"}
    )
    assert passed == {
        "EVENTBUS_API_KEYS_FILE": str(tmp_path / "keys.jsonl"),
        "EVENTBUS_OIDC_JWKS": "https://a.example/jwks",
    }


def test_containers_read_the_files_of_access_control_in_mounted_directories() -> None:
    env = {"EVENTBUS_API_KEYS_FILE": "/etc/a/keys.jsonl", "EVENTBUS_OIDC_JWKS": "/etc/b/jwks.json", "X": "1"}
    inside, mounts = in_containers(env)
    assert mounts is not None
    services = json.loads(mounts)["services"]
    assert set(services) == set(SERVICES)
    folders = {volume.split(":")[1]: volume.split(":")[0] for volume in services["order"]["volumes"]}
    for name in ("EVENTBUS_API_KEYS_FILE", "EVENTBUS_OIDC_JWKS"):
        folder, _, file = inside[name].rpartition("/")
        assert f"{folders[folder]}/{file}" == env[name]
    assert all(volume.endswith(":ro") for volume in services["order"]["volumes"])
    assert inside["X"] == "1"
    assert in_containers({"EVENTBUS_OIDC_JWKS": "https://a.example/jwks"})[1] is None


def test_compose_gets_the_same_ports() -> None:
    env = compose_env(replace(SETTINGS, port_base=18000))
    assert (env["STACK_ORDER_PORT"], env["STACK_SIMULATOR_PORT"]) == ("18000", "18090")
    assert env_file({"A": "$x", "B": "it's"}) == "A='$x'\nB=\"it's\"\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["payment=ten"], "payment=ten"),
        (
            ["nosuch=1"],
            "Cannot scale nosuch: .* The services are order, payment, inventory, notification",
        ),
        (["paymnet=3", "order=1", "nosuch=1"], "Cannot scale paymnet, nosuch: "),
        (["order=10"], "order=10"),
        ([], "Nothing to scale: .* The services are order, payment, inventory, notification"),
    ],
)
def test_a_scale_that_cannot_be_is_refused(words: list[str], says: str) -> None:
    assert parse_scale(["payment=3", "order=0"]) == {"payment": 3, "order": 0}
    with pytest.raises(StackError, match=says):
        parse_scale(words)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["restart"],
            "Which service? Write for example `make restart SERVICE=payment`. The services are order,",
        ),
        (["run"], "Which service? Write for example `make run SERVICE=payment`. The services are order,"),
        (["run", "nosuch"], "There is no service nosuch. The services are order,"),
        (["restart", "payment"], "The stack is not running: start it with `make up`."),
        (["run", "fraud"], "The stack is not running: start it with `make up`."),
    ],
)
def test_a_run_or_restart_that_cannot_be_is_one_sentence(words: list[str], says: str, tmp_path: Path) -> None:
    done = run_python(["-m", "tools.stack", *words, "--run-dir", str(tmp_path)], {"STACK": "local"})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(says) and done.stderr.count("\n") == 1


def test_a_reader_that_goes_away_ends_ps_without_a_traceback(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        ended = subprocess.run(
            [sys.executable, "-m", "tools.stack", "ps", "--run-dir", str(tmp_path)],
            cwd=ROOT,
            env={**os.environ, "STACK": "local"},
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("banner", "major"),
    [('openjdk version "17.0.15" 2025-04-15', 17), ('java version "1.8.0_402"', 8), ("nonsense", 0)],
)
def test_java_versions_are_read(banner: str, major: int) -> None:
    assert major_version(banner) == major


def test_no_java_is_one_sentence_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.stack.java._from_wheel", lambda: "no network")
    with pytest.raises(StackError, match=r"Java 17 or newer was not found .*\(no network\): install a JRE"):
        find_java({"PATH": "/nonexistent", "JAVA_HOME": "/nonexistent"})


def release(folder: Path) -> str:
    """A release archive with one jar and one file that is none, and its checksum, as a URL."""
    path = folder / "kafka_2.13-9.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("kafka_2.13-9/libs/kafka_2.13-9.jar", "kafka_2.13-9/bin/run.sh"):
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"jar"))
    digest = hashlib.sha512(path.read_bytes()).hexdigest().upper()
    groups = " ".join(digest[at : at + 8] for at in range(0, 128, 8))
    (folder / "kafka_2.13-9.tgz.sha512").write_text(f"kafka_2.13-9.tgz: {groups}\n")
    return path.as_uri()


def test_without_maven_the_jars_come_from_the_release_archive(tmp_path: Path) -> None:
    libs = find_jars({"PATH": "/nonexistent"}, tmp_path / "cache", Path("java"), release(tmp_path))
    assert [path.name for path in libs.iterdir()] == ["kafka_2.13-9.jar"]
    cached = find_jars({"PATH": "/nonexistent"}, tmp_path / "cache", Path("java"), "file:///nowhere")
    assert cached == libs


def test_an_archive_with_another_checksum_is_refused(tmp_path: Path) -> None:
    url = release(tmp_path)
    (tmp_path / "kafka_2.13-9.tgz.sha512").write_text("0" * 128 + "  kafka_2.13-9.tgz\n")
    with pytest.raises(StackError, match="SHA-512"):
        find_jars({"PATH": "/nonexistent"}, tmp_path / "cache", Path("java"), url)
    assert not list((tmp_path / "cache").iterdir())


def test_jars_that_can_be_had_from_nowhere_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"Maven is not installed.*install Maven, or unpack a Kafka release"):
        find_jars({"PATH": "/nonexistent"}, tmp_path, Path("java"), (tmp_path / "none").as_uri())
    with pytest.raises(StackError, match="KAFKA_HOME=/nonexistent has no libs"):
        find_jars({"KAFKA_HOME": "/nonexistent"}, tmp_path, Path("java"))


def test_a_release_that_loses_transaction_markers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / "kafka_2.13-4.3.1.jar").touch()
    with pytest.raises(StackError, match=r"is Kafka 4\.3\.1, .*KAFKA-20734.*: use 4\.2"):
        find_jars({"KAFKA_HOME": str(tmp_path)}, tmp_path, Path("java"))


def test_both_forms_of_a_published_checksum_are_read() -> None:
    digest = "ab" * 64
    assert (
        sha512_of(f"{digest}  kafka.tgz")
        == sha512_of(f"kafka.tgz: {digest[:64].upper()}\n {digest[64:]}")
        == digest
    )
    with pytest.raises(StackError, match="unreadable"):
        sha512_of("<html>")


def test_waiting_ends_with_the_names_of_what_is_not_ready() -> None:
    with pytest.raises(StackError, match=r"payment: not ready after 0 s"):
        wait_ready({"payment": lambda: False, "order": lambda: True}, 0.0, lambda _: "")
    with pytest.raises(StackError, match=r"payment: not ready, since it ended"):
        wait_ready({"payment": lambda: False}, 60.0, lambda _: "since it ended")


def test_what_a_stack_remembers_survives(tmp_path: Path) -> None:
    record = Record(mode="local", env={"ORDER_X": "1"})
    record.save(tmp_path)
    assert Record.load(tmp_path) == record
    assert Record.load(tmp_path / "none").scale["order"] == 1


def test_the_line_to_try_names_the_stacks_own_port(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "'http://127.0.0.1:8000/orders'" in curl_line(SETTINGS)
    assert "Authorization" not in curl_line(SETTINGS)
    monkeypatch.setenv("EVENTBUS_API_KEY", "ebk_secret")
    assert '"Authorization: Bearer $EVENTBUS_API_KEY"' in curl_line(SETTINGS)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_settings_with_secrets_are_for_their_user_alone(tmp_path: Path) -> None:
    secret = {"PAYMENT_GATEWAY_PASSWORD": "hush"}

    Record(mode="local", env=secret).save(tmp_path)
    Supervisor(tmp_path).write([Program("payment", ["true"], secret)])
    write_private(tmp_path / "compose.env", env_file(secret))

    for name in ("stack.json", "supervisord.conf", "compose.env"):
        assert "hush" in (tmp_path / name).read_text()
        assert mode(tmp_path / name) == 0o600, name


def test_settings_that_an_older_version_left_open_are_closed_before_they_are_written(tmp_path: Path) -> None:
    for name in ("stack.json", "supervisord.conf", "stack.json.new"):
        (tmp_path / name).touch(0o644)
        (tmp_path / name).chmod(0o644)

    Record().save(tmp_path)
    Supervisor(tmp_path).write([])

    assert mode(tmp_path / "stack.json") == mode(tmp_path / "supervisord.conf") == 0o600


def test_logs_and_state_that_an_older_version_left_open_are_closed(tmp_path: Path) -> None:
    theirs = tmp_path / "notes"
    for path in (
        "logs/order.log",
        "state/order-0/state.sqlite",
        "simulator/payments.db",
        "notifications.log.1",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch(0o644)
    theirs.touch(0o644)
    tmp_path.chmod(0o755)

    close_to_others(tmp_path)

    open_to_others = [p.name for p in tmp_path.rglob("*") if mode(p) & 0o077]
    assert open_to_others == ["notes"]
    assert mode(tmp_path) == 0o755


def test_what_supervisord_and_its_children_write_is_for_their_user_alone() -> None:
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(supervisor_config(Path("/r"), []))
    assert config["supervisord"]["umask"] == "077"
