"""A redrive or a discard from the question to the exit code: confirm, do it or dry-run it, print the report."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from eventbus.cli.ending import CommandError, Exit, ask
from eventbus.cli.execution import DryRunClient, Execution, paced
from eventbus.cli.index import ParkedKey, message_count
from eventbus.cli.options import addresses
from eventbus.cli.printing import console, print_report
from eventbus.cli.result import KeyResult, Report
from eventbus.cli.session import Session
from eventbus.cli.writer import CommandWriter
from eventbus.visible import visible_json


class Action:
    """A redrive or discard of some keys."""

    def __init__(
        self,
        action: str,
        session: Session,
        parked_keys: list[ParkedKey],
        left_out: list[tuple[str, str, str]],
        count: int | None,
        rate: float | None,
        urls: Sequence[str],
        wait: float,
    ) -> None:
        self.action, self.session, self.parked_keys, self.left_out = action, session, parked_keys, left_out
        self.count, self.rate, self.wait = count, rate, wait
        self.urls = addresses(urls)

    def run(self, *, dry: bool, confirmed: bool, json: bool) -> None:
        """Do it and print the report. Raises CommandError or typer.Exit with the exit code, unless all went well."""
        report = Report(self.action, dry, left_out=self.left_out)
        if not self.parked_keys:
            self._print(report, json)
            raise CommandError(
                Exit.NOT_ALL if self.left_out else Exit.NOTHING,
                f"Nothing to {self.action}: "
                + ("what matches cannot be." if self.left_out else "nothing matches."),
            )
        if dry:
            report.results = self._dry_run()
            self._print(report, json)
            return
        if not confirmed:
            self._confirm()
        report.results = self._execute()
        self._print(report, json)
        if not all(result.succeeded for result in report.results):
            raise typer.Exit(Exit.NOT_ALL)

    def _dry_run(self) -> list[KeyResult]:
        client = DryRunClient(self.urls)
        return [client.result(self.action, key, self.count) for key in paced(self.parked_keys, self.rate)]

    def _execute(self) -> list[KeyResult]:
        session = self.session
        execution = Execution(session.topics, CommandWriter(session.settings, session.codec), session.index)
        for key in paced(self.parked_keys, self.rate):
            execution.send(self.action, key, self.count)
        return execution.results(self.wait)

    def _confirm(self) -> None:
        keys, messages = len(self.parked_keys), message_count(self.parked_keys)
        if self.count is not None:
            messages = min(messages, self.count * keys)
        services = ", ".join(sorted({key.service for key in self.parked_keys}))
        ask(f"{self.action} {keys} keys with {messages} messages of {services}?")

    def _print(self, report: Report, json: bool) -> None:
        if json:
            print(visible_json(report.as_json()))
        elif report.results or report.left_out:
            print_report(console(), report)
