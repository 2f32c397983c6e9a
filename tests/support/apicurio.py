"""Apicurio Registry, a schema registry that we did not write: from Maven Central, run with plain Java."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.waiting import eventually
from tools.stack.java import find_java
from tools.stack.ports import free_ports
from tools.stack.settings import StackError, StackSettings

VERSION = "3.3.3"
ARTIFACT = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
SHA256 = "8bc6751c76d963734224b01d5e7f84ccb3cb61c87d3bd77c36c35f10a5cbed63"
OLDEST_JAVA = 21


class NotHere(Exception):
    """Why Apicurio cannot be had on this machine, in a sentence."""


@contextmanager
def apicurio(log: Path) -> Iterator[str]:
    """A fresh registry in memory; the URL of its Confluent API. Raises NotHere."""
    try:
        java = find_java(os.environ, OLDEST_JAVA)
    except StackError as error:
        raise NotHere(f"Apicurio {VERSION} needs Java: {error}") from None
    home = _unpacked(StackSettings.from_env(os.environ).cache_dir)
    port, management = free_ports(2)
    settings = {
        "QUARKUS_HTTP_HOST": "127.0.0.1",
        "QUARKUS_HTTP_PORT": str(port),
        "QUARKUS_MANAGEMENT_HOST": "127.0.0.1",
        "QUARKUS_MANAGEMENT_PORT": str(management),
    }
    command = [str(java), "-Xmx384m", "-XX:TieredStopAtLevel=1", "-jar", str(home / "quarkus-run.jar")]
    url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=home, env={**os.environ, **settings}, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        eventually(lambda: _answers(url, process, log), "Apicurio answers", 90.0)
        yield url
    finally:
        process.kill()
        process.wait()


def _answers(url: str, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text(errors="replace")[-2_000:]
    try:
        return httpx.get(f"{url}/subjects", timeout=2.0).status_code == 200
    except httpx.TransportError:
        return False


def _unpacked(cache: Path) -> Path:
    """Where it is unpacked; it is fetched by Maven once, and held to its SHA-256."""
    home = cache / f"apicurio-{VERSION}"
    if home.is_dir():
        return home
    maven = shutil.which("mvn")
    if maven is None:
        raise NotHere(f"Apicurio {VERSION} is fetched by Maven, which is not installed here")
    draft = cache / f"apicurio-{VERSION}.{os.getpid()}"
    draft.mkdir(parents=True)
    try:
        copy = f"org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy -Dartifact={ARTIFACT}".split()
        command = [maven, "-q", "-B", *copy, f"-DoutputDirectory={draft}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=draft)
        archives = list(draft.glob("*.tar.gz"))
        if done.returncode or not archives:
            raise NotHere(f"Maven did not fetch Apicurio {VERSION}: {(done.stdout + done.stderr)[-300:]}")
        with archives[0].open("rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == SHA256, "Apicurio is not what it was"
        with tarfile.open(archives[0]) as archive:
            archive.extractall(draft / "app", filter="data")
        if not home.is_dir():
            (draft / "app").rename(home)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return home
