"""One command at work: what it reads first, what it does to the keys chosen, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence

import typer
from pydantic import ValidationError

from eventbus.cli.board import BURIED, Board, Filters, Queue, messages, why_not
from eventbus.cli.carrying_out import Rehearsal, Sending, paced
from eventbus.cli.options import addresses, now
from eventbus.cli.printing import console, say_report
from eventbus.cli.result import KeyResult, Report
from eventbus.cli.topics import Topics
from eventbus.cli.trouble import Exit, Trouble, ask
from eventbus.codec import Codec
from eventbus.settings import Settings
from eventbus.visible import visible_json


def connected() -> tuple[Topics, Codec]:
    """Kafka, as the environment says. Raises Trouble if it is away, or the environment is wrong."""
    try:
        codec, settings = Codec(), Settings()
    except ValidationError as error:
        wrong = error.errors()[0]
        raise Trouble(Exit.USAGE, f"EVENTBUS_{str(wrong['loc'][0]).upper()}: {wrong['msg']}.") from error
    return Topics(settings, codec), codec


class Desk:
    """Kafka, and what waits there, as read for one command."""

    def __init__(self, services: Sequence[str] | None, keep: str | None = None) -> None:
        self.topics, self.codec = connected()
        known = self.topics.services
        if unknown := sorted(set(services or ()) - set(known)):
            raise Trouble(
                Exit.USAGE,
                f"There is no service {unknown[0]} at {self.topics.where}: it has "
                f"{', '.join(sorted(known)) or 'none'}.",
            )
        self.services = sorted(services or known)
        self.board = Board(self.codec.name_of, keep)
        parts = [part for s in self.services for part in self.topics.parts(s, "retry", "dlq")]
        self.topics.read(parts, self.board.take)


def redrivable(board: Board, wanted: Filters) -> tuple[list[Queue], list[tuple[str, str, str]]]:
    """The keys chosen that can be redriven; and those that cannot, with the reason."""
    left_out, ready = [], []
    for queue in board.chosen(wanted):
        if reason := why_not(queue, now()):
            left_out.append((queue.service, queue.key, reason))
        else:
            ready.append(queue)
    for item in board.single(wanted):
        reason = f"cannot be redriven: {item.error}" if item.state == BURIED else f"is {item.state} already"
        if item.truncated:
            reason += f" (cut to what fits; the whole record stands at {item.coordinates})"
        left_out.append((item.service, item.coordinates, reason))
    return ready, left_out


class Work:
    """A redrive or discard of some keys."""

    def __init__(
        self,
        action: str,
        desk: Desk,
        queues: list[Queue],
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
            raise Trouble(
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
        rehearsal = Rehearsal(self.urls)
        return [rehearsal.result(self.action, queue, self.count) for queue in paced(self.queues, self.rate)]

    def _carry_out(self) -> list[KeyResult]:
        sending = Sending(self.desk.topics, self.desk.board)
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
