"""The command line of every peer's program."""

from __future__ import annotations

import argparse


def read(prog: str) -> argparse.Namespace:
    """``servers``, ``group``, ``source``, ``target`` and ``state``."""
    parser = argparse.ArgumentParser(prog=f"python -m {prog}")
    parser.add_argument("--servers", required=True, help="Kafka")
    parser.add_argument("--group", required=True, help="consumer group")
    parser.add_argument("--source", required=True, help="topic to read")
    parser.add_argument("--target", required=True, help="topic to write")
    parser.add_argument("--state", required=True, help="directory for the state")
    return parser.parse_args()
