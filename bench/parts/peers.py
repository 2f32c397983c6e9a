"""The stateful hop beside other libraries, each in an environment of its own: ``bench.peers``."""

from __future__ import annotations

from dataclasses import dataclass

from bench.parts.basket_topics import Topics
from bench.parts.hop import beside
from bench.parts.passage import Passage, passage
from bench.peers.environment import python_of, version_of
from bench.processes import Module
from bench.result import Row
from bench.run import Run


@dataclass(frozen=True)
class Peer:
    """A library: its folder below ``bench.peers``, its package, and how a row names it.

    ``needs``: the oldest Python that it runs on. ``as_json``: whether it takes JSON only.
    """

    name: str
    package: str
    title: str
    goal: float | None = None
    needs: tuple[int, int] = (3, 11)
    as_json: bool = False

    def measure(self, bench: Run) -> list[Row]:
        """One row: ours beside this library."""
        python = python_of(self.name, bench.run_dir.parent / "bench-peers", self.needs)
        title = f"{self.title} {version_of(python, self.package)}, exactly-once with state"

        def passes(_: Run, topics: Topics) -> Passage:
            source, target = topics.as_json() if self.as_json else topics.source, topics.target("events")
            group = f"{self.name}-{topics.prefix[:-1]}"
            arguments = [
                "--servers",
                topics.servers,
                "--source",
                source,
                "--target",
                target,
                "--group",
                group,
            ]
            arguments += ["--state", str(bench.run_dir / group)]
            process = Module(
                bench.run_dir / f"{self.name}.log", f"bench.peers.{self.name}.hop", arguments, python=python
            )
            return passage(topics.servers, group, source, target, process, bench.broker)

        return [beside(bench, passes, f"{self.name}-hop", self.goal, title)]


QUIX = Peer("quix", "quixstreams", "Quix Streams", goal=1.5)
FLECHTWERK = Peer("flechtwerk", "flechtwerk", "Flechtwerk", needs=(3, 12), as_json=True)
FAUST = Peer("faust", "faust-streaming", "Faust")
