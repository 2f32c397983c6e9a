"""``eventbus key``: makes an API key, shows it once, and adds its line to the file of keys."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from eventbus.access.api_keys import BrokenFile, new_key, parse_keys
from eventbus.cli.ending import CommandError, Exit

FILE = "EVENTBUS_API_KEYS_FILE"
KEY = "EVENTBUS_API_KEY"
"""The environment variable with the key that commands send to services."""


def make_key(
    scopes: Annotated[str, typer.Option("--scopes", help='what it may do, such as "place read"')],
    user: Annotated[
        str | None, typer.Option("--user", help="the customer (userId) whose orders alone it places and sees")
    ] = None,
    key_id: Annotated[
        str | None,
        typer.Option("--id", help="the caller's name, which two of its keys may share"),
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", help="until when it is valid, such as 2027-01-31T00:00:00Z")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", envvar=FILE, help="the file of keys")] = None,
) -> None:
    """Make an API key. Standard output has the key, which is kept nowhere; the file gets a line with its hash."""
    if file is None:
        raise CommandError(Exit.USAGE, f"Which file? Name it with --file, or in {FILE}.")
    name = key_id or f"key-{secrets.token_hex(4)}"
    try:
        key, line = new_key(name, scopes.replace(",", " ").split(), user, expires)
    except BrokenFile as error:
        # It is the only line: its number says nothing.
        raise CommandError(Exit.USAGE, f"No key was made: {str(error).removeprefix('line 1: ')}.") from error
    add_line(file, line)
    print(f"{name} is in {file}; services with {FILE}={file} know it within seconds.", file=sys.stderr)
    print("Here is the key, once: send it as `Authorization: Bearer <key>`.", file=sys.stderr)
    print(key)


def add_line(file: Path, line: str) -> None:
    """Add a line to a file of keys, in one write. Raises CommandError if the file is broken, or would be."""
    try:
        before = file.read_bytes() if file.exists() else b""
        added = (b"\n" if before and not before.endswith(b"\n") else b"") + line.encode() + b"\n"
        parse_keys(before + added)
        file.parent.mkdir(parents=True, exist_ok=True)
        # Services may run as another user. The hash of a random key tells nobody the key.
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, added)
        finally:
            os.close(descriptor)
    except BrokenFile as error:
        raise CommandError(Exit.USAGE, f"No key was made: {file}, {error}.") from error
    except OSError as error:
        raise CommandError(Exit.USAGE, f"No key was made: {file}: {error.strerror}.") from error


def credentials() -> dict[str, str]:
    """The header with the key of the environment; empty without one."""
    key = os.environ.get(KEY)
    return {"Authorization": f"Bearer {key}"} if key else {}
