"""A system whose replicas go on with other code one by one, under orders, watched from outside."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from eventbus.model.record import Raw
from tests.support.processes import ROOT, ServiceProcess
from tests.support.system import OWN_LOGS, SERVICES, Simulator, System
from tests.support.waiting import eventually
from tools.system import System as Address
from verification.audit.elsewhere import audit_by

OTHERS = ("payment", "inventory", "notification")
BODY = {"userId": "anne", "items": [{"productId": "cup", "quantity": 2, "unitPrice": "2.50"}]}
METHODS = ("tok_ok", "tok_ok", "tok_ok", "tok_declined")
LAG = 5.0
"""Seconds after which every replica must show what one has shown, or say that it cannot."""
FACTS = ("status", "payment", "inventory", "items", "totalAmount", "updatedAt")
"""What an order shows, whatever code shows it."""


class Replica:
    """One replica of a service. It may be started again with other code."""

    def __init__(self, system: System, service: str, slot: int, **env: str) -> None:
        self.system, self.service, self.slot, self.env = system, service, slot, env
        self.process: ServiceProcess | None = None

    @property
    def name(self) -> str:
        return f"{self.service}-{self.slot}"

    @property
    def running(self) -> ServiceProcess:
        assert self.process is not None, f"{self.name} was never started"
        return self.process

    def start(self, tree: Path, **env: str) -> Replica:
        """Run the code of ``tree``; does not wait. ``env`` is for this run alone."""
        process = self.system.service(self.service, self.slot, tree=tree, **{**self.env, **env})
        self.process = process.start()
        return self

    def restart(self, tree: Path, **env: str) -> Replica:
        """End it in order and go on with the code of ``tree``; does not wait."""
        self.running.stop()
        return self.start(tree, **env)

    def wait_ready(self) -> Replica:
        self.running.wait_ready()
        return self

    def says(self, what: str) -> bool:
        """Whether its log, of all its runs, has this text."""
        return what in self.running.log.read_text(errors="replace")


class Orders:
    """A customer: posts orders to the replicas of order in turn, and remembers those that were accepted."""

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self._replicas = replicas
        self.accepted: dict[str, str] = {}
        """The orders that were answered 202, each with how it is to end."""
        self.refused = 0
        """How often no replica took an order."""

    def place(self, count: int, *, at: Replica | None = None, rate: float = 10.0) -> list[str]:
        """Place that many, ``rate`` a second, at one replica or at any that takes them; returns their ids."""
        placed: list[str] = []
        for number in range(count):
            due = time.monotonic() + 1 / rate
            method = METHODS[number % len(METHODS)]
            turn = [at] if at else [self._replicas[(number + k) % len(self._replicas)] for k in (0, 1)]
            order = eventually(lambda t=turn, m=method: self._post(t, m), "a replica takes an order")  # type: ignore[misc]
            self.accepted[order] = "CONFIRMED" if method == "tok_ok" else "FAILED"
            placed.append(order)
            time.sleep(max(0.0, due - time.monotonic()))
        return placed

    def _post(self, replicas: Iterable[Replica], method: str) -> str:
        for replica in replicas:
            try:
                answer = replica.running.post("/orders", json=BODY | {"paymentMethod": method}, timeout=6.0)
            except httpx.TransportError:
                continue
            if answer.status_code == 202:
                return str(answer.json()["orderId"])
            assert answer.status_code in (429, 503), answer.text
        self.refused += 1
        return ""


class Watch:
    """Asks every replica of order for every accepted order, again and again: the answer is right, or it is 503.

    Right is never 404, never a version older than one that this replica has shown, and never one older than what any
    replica had shown :data:`LAG` seconds before. At one version, replicas of any code show the same :data:`FACTS`.
    """

    def __init__(self, replicas: Sequence[Replica], orders: Orders) -> None:
        self._replicas, self._orders = replicas, orders
        self._shown: dict[tuple[str, str], int] = {}
        self._facts: dict[tuple[str, int], list[Any]] = {}
        self._history: dict[str, list[tuple[float, int]]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._http = httpx.Client(timeout=6.0)
        self.wrong: list[str] = []
        self.answers: Counter[tuple[str, int]] = Counter()
        """By replica and status, how many answers there were; 0: none came."""

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._http.close()
        assert not self.wrong, self.wrong[:5]

    def _run(self) -> None:
        while not self._stopping.wait(0.2):
            for order in list(self._orders.accepted):
                for replica in self._replicas:
                    self._ask(replica, order)

    def _ask(self, replica: Replica, order: str) -> None:
        asked, process = time.monotonic(), replica.running
        try:
            answer = self._http.get(f"http://127.0.0.1:{process.port}/orders/{order}")
        except httpx.TransportError:
            self.answers[replica.name, 0] += 1
            return
        self.answers[replica.name, answer.status_code] += 1
        if answer.status_code == 503:
            return
        if answer.status_code != 200:
            self.wrong.append(f"{replica.name} answers {answer.status_code} for {order}: {answer.text}")
            return
        body = answer.json()
        version, facts = body["version"], [body[name] for name in FACTS]
        if facts != (first := self._facts.setdefault((order, version), facts)):
            self.wrong.append(f"{replica.name} shows {facts} at version {version} of {order}, not {first}")
        history = self._history.setdefault(order, [])
        known = [seen for at, seen in history if at < asked - LAG]
        least = max([self._shown.get((replica.name, order), 0), *known])
        if version < least:
            self.wrong.append(f"{replica.name} shows version {version} of {order}, {least} was shown before")
        self._shown[replica.name, order] = version
        if not history or version > history[-1][1]:
            history.append((time.monotonic(), version))


class Rolling:
    """Two replicas of order and one of each other service, all running the code of ``tree`` in the beginning.

    ``trees_of`` names the code of services that begin with another.
    """

    def __init__(self, system: System, tree: Path = ROOT, **trees_of: Path) -> None:
        self.system = system
        self.simulator: Simulator = system.simulator()
        # What waits is to be tried soon; a key whose message is a dead letter stays one for the whole test.
        quick = {"EVENTBUS_RETRY_BACKOFF": "0.2"}
        self.order = [Replica(system, "order", slot, **quick) for slot in range(2)]
        self.others = {name: Replica(system, name, 0, **quick) for name in OTHERS}
        for replica in self.replicas:
            replica.start(trees_of.get(replica.service, tree))
        for replica in self.replicas:
            replica.wait_ready()
        self.wait_shared()
        system.stock(self.others["inventory"].running, 10_000, "cup")
        self.orders = Orders(self.order)

    @property
    def replicas(self) -> list[Replica]:
        return [*self.order, *self.others.values()]

    def wait_shared(self) -> None:
        """Return once both replicas of order lead tasks, and all are led."""
        tasks = self.system.settings.partitions
        eventually(
            lambda: (led := [r.running.leads() for r in self.order]) and all(led) and sum(led) == tasks,
            "the replicas share the tasks",
        )

    @contextmanager
    def watched(self) -> Iterator[Watch]:
        """Watch the answers to GET; raises AssertionError in the end if one was wrong."""
        with Watch(self.order, self.orders) as watch:
            yield watch

    def roll(self, tree: Path, *replicas: Replica, during: int = 4, **env: str) -> None:
        """Restart replicas one after the other with other code; ``during`` each, so many orders are placed."""
        for replica in replicas:
            replica.restart(tree, **env)
            self.orders.place(during)
            replica.wait_ready()

    def statuses(self) -> dict[str, str]:
        """How every accepted order stands, by a replica that answers."""
        return {order: self.shown(order).get("status", "?") for order in self.orders.accepted}

    def shown(self, order: str) -> dict[str, Any]:
        """What the first replica of order that answers 200 shows of an order; empty if none does."""
        for replica in self.order:
            try:
                answer = replica.running.get(f"/orders/{order}")
            except httpx.TransportError:
                continue
            if answer.status_code == 200:
                found: dict[str, Any] = answer.json()
                return found
        return {}

    def wait_ended(self, timeout: float = 60.0) -> None:
        """Return once every accepted order has ended as it was to."""
        wanted = self.orders.accepted

        def ended() -> bool:
            found = self.statuses()
            missing = {order: found[order] for order in wanted if found[order] != wanted[order]}
            assert not missing, missing
            return True

        eventually(ended, "every order ends", timeout)

    def check_nothing_lost_or_doubled(self, tree: Path) -> None:
        """Every order has ended, no message waits, the audit of ``tree`` is clean, and no event is there twice."""
        self.wait_ended()
        self.system.wait_consumed(*SERVICES)
        gateway = f"http://127.0.0.1:{self.simulator.process.port}"
        result = audit_by(tree, Address("", "", gateway, self.system.settings), wait=30.0)
        assert result.clean, result.violations
        assert not result.open and not result.dead
        assert self.simulator.doubles() == []
        for logs in OWN_LOGS.values():
            for log in logs:
                assert_no_event_twice(self.system.topics.read(log))

    def check_no_dead_letter(self) -> None:
        """Nothing that any service could not read or decide."""
        for service in SERVICES:
            letters = self.system.topics.read(f"{service}.dlq")
            assert letters == [], [(letter.key, letter.headers) for letter in letters]

    def check_rebuilt_identical_and_replayed(self, tree: Path) -> None:
        """One replica of order without its state, all offsets of order back at 0: the same state, and nothing new."""
        self.wait_shared()
        topics, before = self.system.topics, self.system.dump("order", slot=1)
        for replica in self.order:
            replica.running.stop()
        ends = topics.ends("order.events", "order.dlq")
        assert any(topics.rewind("order").values())
        shutil.rmtree(self.system.database("order", slot=1).parent)
        for replica in self.order:
            replica.start(tree)
        for replica in self.order:
            replica.wait_ready()
        self.system.wait_consumed("order")
        assert topics.ends("order.events", "order.dlq") == ends
        eventually(lambda: self.system.dump("order", slot=1) == before, "the state is rebuilt as it was")


def assert_no_event_twice(records: list[Raw]) -> None:
    """No id and no version of a key stands in the log twice."""
    versions = Counter((raw.key, raw.extension("keyversion")) for raw in records)
    ids = Counter(raw.header("ce_id") for raw in records)
    twice = [one for counted in (versions, ids) for one, count in counted.items() if count > 1]
    assert not twice, twice
