"""A run: what it has started, how long it measures, and rounds in which ours and a reference take turns."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from bench.bare.clients import create_topics
from bench.bare.produce import produced_per_second
from bench.load import run
from bench.ours import Ours
from bench.shop import fill
from tools.demo.__main__ import SAMPLE
from tools.stack.kafka import LocalKafka

PARTITIONS, REPLICATION = 3, 1
"""Of every topic, here and there: the defaults of this project on one machine."""
HEAP = "512m"
"""Of the references' broker, as that of the stack."""
T = TypeVar("T")
U = TypeVar("U")


@dataclass
class Run:
    """What measurements share. Each stack and broker starts when it is first asked for, and ends with ``stack``.

    ``seconds`` is the length of a window; ``rounds`` is how many count: one of half the length goes before them.
    """

    run_dir: Path
    stack: ExitStack
    rounds: int = 3
    seconds: float = 10.0
    data: Path = SAMPLE
    """Real invoices, as ``tools.demo`` reads them."""
    base: Path | None = None
    """The tree of the commit that rows compare with, its environment in ``.venv``."""
    python: Path = field(default_factory=lambda: Path(sys.executable))

    @property
    def warm(self) -> float:
        """Seconds of load before each window, which do not count."""
        return self.seconds / 4

    def say(self, text: str) -> None:
        """Progress, for people; the table alone goes to standard output."""
        print(text, file=sys.stderr, flush=True)

    @cached_property
    def ours(self) -> Ours:
        """The stack of this tree, with goods in stock."""
        self.say("starting this project's stack ...")
        return self._filled(Ours(self.run_dir / "ours", self.python))

    @cached_property
    def theirs(self) -> Ours:
        """The stack of the commit that rows compare with, with goods in stock."""
        assert self.base is not None, "rows against a commit are chosen only with one"
        self.say("starting the stack to compare with ...")
        python = self.base / ".venv" / "bin" / "python"
        return self._filled(Ours(self.run_dir / "theirs", python, self.base))

    def _filled(self, ours: Ours) -> Ours:
        self.stack.enter_context(ours)
        run(fill(ours.system), 10)
        return ours

    @cached_property
    def kafka(self) -> LocalKafka:
        """The broker of the references; it is alike to that of a stack."""
        self.say("starting the references' broker ...")
        where = self.run_dir / "references"
        where.mkdir(parents=True, exist_ok=True)
        return self.stack.enter_context(LocalKafka(where, heap=HEAP))

    @property
    def broker(self) -> int:
        """The process of the references' broker."""
        process = self.kafka.process
        assert process is not None
        return process.pid

    def topic(self) -> str:
        """A new topic of the references' broker."""
        name = f"bare-{uuid.uuid4().hex[:8]}"
        create_topics(self.kafka.bootstrap_servers, [name], PARTITIONS, REPLICATION)
        return name

    @cached_property
    def raw_produce(self) -> float:
        """Records a second that one producer makes durable at the references' broker, with full batches."""
        return produced_per_second(self.kafka.bootstrap_servers, self.topic())

    def pairs(
        self,
        title: str,
        ours: Callable[[float], T],
        reference: Callable[[float], U],
        show: Callable[[T, U], str],
    ) -> list[tuple[T, U]]:
        """Both by turns, each given the seconds it is to measure; who goes first changes from round to round.

        Before the rounds that count there is one of half their length: caches fill, the broker's code is compiled.
        """
        found: list[tuple[T, U]] = []
        for number in range(self.rounds + 1):
            seconds = self.seconds if number else self.seconds / 2
            if number % 2:
                mine, other = ours(seconds), reference(seconds)
            else:
                other = reference(seconds)
                mine = ours(seconds)
            self.say(f"{title}, {f'round {number}' if number else 'warm-up'}: {show(mine, other)}")
            if number:
                found.append((mine, other))
        return found
