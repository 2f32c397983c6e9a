"""The exit codes of commands, the error that ends one with a sentence, and the question before it acts."""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer


class Exit(IntEnum):
    """What the process returns."""

    DONE = 0
    NOTHING = 1
    """Nothing matches, or the question was answered with no."""
    USAGE = 2
    AWAY = 3
    """Kafka, or the replica that is to answer a dry run, cannot be reached."""
    NOT_ALL = 4
    """Some keys were busy, failed again, or were not finished in time; or not all of the input could be read."""
    INTERRUPTED = 130


class CommandError(Exception):
    """Ends the command: one sentence on standard error, and the exit code."""

    def __init__(self, code: Exit, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def unreachable(servers: str, reason: str) -> CommandError:
    """The error for brokers that do not answer."""
    return CommandError(Exit.AWAY, f"Kafka does not answer at {servers} ({reason}).")


def ask(question: str) -> None:
    """Ask the person at the terminal. Raises CommandError unless the answer is yes."""
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        raise CommandError(Exit.NOTHING, "Nothing was done (--yes goes without asking).")


def take_any_text() -> None:
    """Have standard output escape what its encoding does not have, rather than end the command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Have what was printed seen now. Raises BrokenPipeError also if nothing was, once nobody reads the pipe."""
    sys.stdout.flush()
    try:
        watched = select.poll()
        watched.register(sys.stdout.fileno(), 0)
    except OSError:  # no file: what a test prints to
        return
    if any(event & select.POLLERR for _, event in watched.poll(0)):
        raise BrokenPipeError


@contextmanager
def output() -> Iterator[None]:
    """For a command that prints much: Ctrl-C, and a reader of its pipe that ends, end it without a word."""
    take_any_text()
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt as interrupt:
        raise typer.Exit(Exit.INTERRUPTED) from interrupt
    except BrokenPipeError as closed:
        # Python flushes once more as it ends, and would complain there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(Exit.DONE) from closed
