"""One command at work: what it reads first, what it does to the keys chosen, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from eventbus.cli.ending import CommandError, Exit, ask
from eventbus.cli.execution import DryRunClient, Execution, paced
from eventbus.cli.index import ParkedKey, messages
from eventbus.cli.options import addresses
from eventbus.cli.printing import console, say_report
from eventbus.cli.result import KeyResult, Report
from eventbus.cli.session import Session
from eventbus.visible import visible_json


class Action:
    """A redrive or discard of some keys."""

    def __init__(
        self,
        action: str,
        desk: Session,
        queues: list[ParkedKey],
        left_out: list[tuple[str, str, str]],
        count: int | None,
        rate: float | None,
        urls: Sequence[str],
        wait: float,
    ) -> None:
        self.action, self.desk, self.queues, self.left_out = action, desk, queues, left_out
        self.count, self.rate, self.wait = count, rate, wait
        self.urls = addresses(urls)

    def run(self, *, dry: bool, sure: bool, json: bool) -> None:
        """Do it, say what came of it, and end with the exit code that says so too."""
        report = Report(self.action, dry, left_out=self.left_out)
        if not self.queues:
            self._say(report, json)
            raise CommandError(
                Exit.NOT_ALL if self.left_out else Exit.NOTHING,
                f"Nothing to {self.action}: "
                + ("what matches cannot be." if self.left_out else "nothing matches."),
            )
        if dry:
            report.results = self._rehearse()
            self._say(report, json)
            return
        if not sure:
            self._confirm()
        report.results = self._carry_out()
        self._say(report, json)
        if not all(result.well for result in report.results):
            raise typer.Exit(Exit.NOT_ALL)

    def _rehearse(self) -> list[KeyResult]:
        rehearsal = DryRunClient(self.urls)
        return [rehearsal.result(self.action, queue, self.count) for queue in paced(self.queues, self.rate)]

    def _carry_out(self) -> list[KeyResult]:
        sending = Execution(self.desk.topics, self.desk.board)
        for queue in paced(self.queues, self.rate):
            sending.send(self.action, queue, self.count)
        return sending.results(self.wait)

    def _confirm(self) -> None:
        waiting = (
            messages(self.queues)
            if self.count is None
            else min(messages(self.queues), self.count * len(self.queues))
        )
        services = ", ".join(sorted({queue.service for queue in self.queues}))
        ask(f"{self.action} {len(self.queues)} keys with {waiting} messages of {services}?")

    def _say(self, report: Report, json: bool) -> None:
        if json:
            print(visible_json(report.as_json()))
        elif report.results or report.left_out:
            say_report(console(), report)
