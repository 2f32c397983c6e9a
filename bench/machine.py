"""What a run ran on: figures mean nothing without it."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from confluent_kafka import libversion

from bench.run import PARTITIONS, REPLICATION
from tools.stack.jars import VERSION
from tools.stack.settings import ROOT, passed_on

LIBRARIES = ("fastavro", "fastapi", "pydantic", "uvicorn", "uvloop")


def description() -> dict[str, str]:
    """Machine, versions and settings, by name, for people and programs."""
    passed = " ".join(f"{name}={value}" for name, value in passed_on(os.environ).items())
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    return {
        "commit": _git("describe", "--always", "--dirty", "--abbrev=10"),
        "machine": f"{os.cpu_count()} x {_cpu_model()}, {platform.system()} {platform.release()}",
        "load before": f"{load} (1, 5, 15 min): what else runs here makes the spread wide",
        "Python": platform.python_version(),
        "Kafka": f"{VERSION}; confluent-kafka {version('confluent-kafka')}, librdkafka {libversion()[0]}",
        "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        "settings": f"{PARTITIONS} partitions, replication {REPLICATION}, acks=all, fsync left to the system "
        f"(Kafka's default), security off{', ' + passed if passed else ''}",
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
