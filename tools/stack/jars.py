"""Finding Apache Kafka's jars: KAFKA_HOME, the cache, Maven, else the Apache release archive.

What Maven or the archive gave is kept in ``<cache>/kafka-<version>/libs``; that directory is renamed into
place when it is whole, so its existence means it is complete.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from tools.stack.settings import StackError

VERSION = "4.2.1"
LOSES_MARKERS = ("4.3.0", "4.3.1")
"""Releases whose restarted broker forgets to end transactions: docs/decisions/0012."""
RELEASE = f"kafka_2.13-{VERSION}"
ARCHIVE = f"https://archive.apache.org/dist/kafka/{VERSION}/{RELEASE}.tgz"
POM = Path(__file__).with_name("pom.xml")


def find_jars(env: Mapping[str, str], cache: Path, java: Path, archive: str = ARCHIVE) -> Path:
    """The directory with the jars of Kafka. Raises StackError if they can be had from nowhere."""
    if home := env.get("KAFKA_HOME"):
        libs = Path(home) / "libs"
        if not any(libs.glob("kafka_2.1*.jar")):
            raise StackError(f"KAFKA_HOME={home} has no libs/kafka_2.13-*.jar: correct it or unset it.")
        for version in LOSES_MARKERS:
            if any(libs.glob(f"kafka_2.1*-{version}.jar")):
                raise StackError(
                    f"KAFKA_HOME={home} is Kafka {version}, which can leave transactions open for ever when a broker "
                    f"restarts (KAFKA-20734): use {VERSION}, or unset it."
                )
        return libs
    libs = cache / f"kafka-{VERSION}" / "libs"
    if libs.is_dir():
        return libs
    cache.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=cache, prefix="fetching-"))
    try:
        reason = _from_maven(draft / "libs", env, java)
        if reason:
            _from_archive(draft / "libs", archive, reason)
        _move(draft, libs.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return libs


def _move(draft: Path, target: Path) -> None:
    try:
        draft.rename(target)
    except OSError:
        if not target.is_dir():  # otherwise another process was faster: its jars are as good
            raise


def _from_maven(libs: Path, env: Mapping[str, str], java: Path) -> str:
    """Copy the pinned pom's dependencies to ``libs``; returns why not, or an empty string."""
    maven = shutil.which("mvn", path=env.get("PATH", os.defpath))
    if not maven:
        return "Maven is not installed"
    print("Fetching Kafka's jars with Maven ...", flush=True)
    command = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={libs}"]
    home = env.get("JAVA_HOME") or str(java.resolve().parent.parent)
    done = subprocess.run(command, capture_output=True, text=True, env={**env, "JAVA_HOME": home})
    if done.returncode == 0 and any(libs.glob("kafka_2.13-*.jar")):
        return ""
    shutil.rmtree(libs, ignore_errors=True)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
    return f"Maven failed: {lines[0].strip() if lines else f'exit status {done.returncode}'}"


def _from_archive(libs: Path, url: str, before: str) -> None:
    """Download the release, hold it to its published SHA-512, unpack its jars to ``libs``."""
    print(f"Fetching {url.rsplit('/', 1)[-1]} from the Apache archive (about 130 MB) ...", flush=True)
    target = libs.parent / "release.tgz"
    try:
        expected = sha512_of(_text(f"{url}.sha512"))
        actual = _download(url, target)
    except OSError as error:
        raise StackError(
            f"Kafka {VERSION} could not be fetched ({before}; {url}: {error}): "
            "install Maven, or unpack a Kafka release and set KAFKA_HOME to it."
        ) from error
    if actual != expected:
        raise StackError(
            f"The SHA-512 of {url} is {actual[:16]}..., not {expected[:16]}... as published: "
            "try again, or unpack a Kafka release you trust and set KAFKA_HOME to it."
        )
    unpack_jars(target, libs)
    target.unlink()


def sha512_of(text: str) -> str:
    """The digest in an Apache ``.sha512`` file: either ``<hex>  name`` or ``name: XXXXXXXX XXXXXXXX ...``."""
    digits = re.sub(r"[\s]", "", text.split(":", 1)[1]) if ":" in text else (text.split() or [""])[0]
    if not re.fullmatch(r"[0-9a-fA-F]{128}", digits):
        raise StackError(f"The published SHA-512 is unreadable ({text[:60]!r}): set KAFKA_HOME instead.")
    return digits.lower()


def _text(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return bytes(answer.read()).decode()


def _download(url: str, target: Path) -> str:
    digest = hashlib.sha512()
    with urllib.request.urlopen(url, timeout=60) as answer, target.open("wb") as file:
        while block := answer.read(1 << 20):
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def unpack_jars(release: Path, libs: Path) -> None:
    """Write every ``<release>/libs/*.jar`` of a release archive to ``libs``; nothing else is unpacked."""
    libs.mkdir(parents=True)
    with tarfile.open(release) as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            if member.isfile() and path.suffix == ".jar" and path.parts[1:-1] == ("libs",):
                source = archive.extractfile(member)
                if source is not None:
                    with source, (libs / path.name).open("wb") as file:
                        shutil.copyfileobj(source, file)
