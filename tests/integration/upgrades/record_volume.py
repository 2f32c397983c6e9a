"""Records what an older commit writes, as the archive in ``landed/``: a volume that today's code must go on with.

    python -m tests.integration.upgrades.record_volume d50d3c9

runs the services of that commit on a broker of its own, has orders end in every way, and keeps: its code
(``code.tar.xz``), the broker's data with the replicas' state (``volume.tar.xz``), and what the services answered
(``answers.json``). It takes a minute and needs the commit in the repository's history.
"""

from __future__ import annotations

import argparse
import json
import sys
import tarfile
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from eventbus.model.record import Headers
from tests.integration.upgrades.trees import LANDED, code_of_commit, wire_value
from tests.support.system import SERVICES, System
from tests.support.waiting import eventually
from tools.stack.kafka import LocalKafka

PARTITIONS = 3
PREFIX = "landed."
BROKER: dict[str, str | int] = {
    # a small archive: the fewest partitions of Kafka's own topics
    "offsets.topic.num.partitions": 1,
    "transaction.state.log.num.partitions": 1,
    # commands are kept for 30 days, this archive for longer: what is old must not go while a test looks at it
    "log.retention.check.interval.ms": 86_400_000,
    "log.initial.task.delay.ms": 86_400_000,
}
"""Settings of the broker that wrote the volume, and of one that goes on with it."""
NEVER = 253_000_000_000_000
"""A deadline in ms since epoch that no test lives to see."""
ENDS = {
    "confirmed": "CONFIRMED",
    "many-lines": "CONFIRMED",
    "for-nothing": "CONFIRMED",
    "flaky": "CONFIRMED",
    "completed": "COMPLETED",
    "cancelled": "CANCELLED",
    "declined": "FAILED",
    "short": "FAILED",
    "expired": "FAILED",
    "refused": "FAILED",
    "version-1": "CONFIRMED",
    "version-1-short": "FAILED",
}
"""How each order of the archive ended. Three more are open: ``held``, ``waiting`` and ``unpaid``."""


class Recorder:
    """A running system of the older code, and what a customer does with it."""

    def __init__(self, tree: Path, system: System) -> None:
        self.tree, self.system = tree, system
        system.simulator()
        self.services = {name: system.service(name, tree=tree) for name in SERVICES}
        self.answers: dict[str, dict[str, Any]] = {}
        """What the services answer in the end, by service and path."""

    def run(self) -> None:
        """Have everything happen."""
        self.start(*SERVICES)
        self.system.stock(self.services["inventory"], 40, "cup", "pot")
        self._plain_orders()
        self._orders_of_version_1()
        self._settle()
        self._afterwards()
        self._ask("payment", *(f"/payments/{order}" for order in ENDS if order != "refused"))
        self._hold()
        orders = (*ENDS, "held", "waiting", "unpaid")
        self._ask("order", *(f"/orders/{order}{part}" for order in orders for part in ("", "/events")))
        self._ask("inventory", "/stock/cup", "/stock/pot")

    def start(self, *names: str, **env: str) -> None:
        for name in names:
            self.services[name].start(**env)
        for name in names:
            self.services[name].wait_ready()

    def command(self, name: str, order: str, **fields: Any) -> tuple[int, int]:
        """Write a command; returns its partition and offset."""
        now = time.time_ns() // 1_000_000
        value = wire_value(self.tree, f"{name}.v1", {"orderId": order, "timestamp": now, **fields})
        place = self.system.topics.send_bytes(
            "order.commands", self.system.topics.partition(order), order.encode(), value, headers(name)
        )
        return place.partition, place.offset

    def create(
        self, order: str, method: str = "tok_ok", *, lines: Any = None, until: int | None = NEVER
    ) -> tuple[int, int]:
        """Write CreateOrder; returns its partition and offset."""
        items = [{"productId": p, "quantity": q, "unitPrice": c} for p, q, c in lines or [("cup", 2, 250)]]
        return self.command(
            "CreateOrder",
            order,
            userId="anne",
            items=items,
            currency="GBP",
            paymentMethod=method,
            contact={"email": f"{order}@example.org"} if order == "completed" else None,
            fingerprint="",
            deadlineAt=until,
        )

    def _plain_orders(self) -> None:
        for order in ("confirmed", "completed", "cancelled"):
            self.create(order)
        self.create("many-lines", lines=[("cup", 1, 99), ("pot", 2, 1250), ("cup", 3, 99)])
        self.create("for-nothing", lines=[("cup", 1, 0)])
        self.create("flaky", "tok_flaky")
        self.create("declined", "tok_declined")
        self.create("short", lines=[("cup", 1, 99), ("pot", 4_000, 1)])
        self.create("refused", lines=[("cup", 0, 99)])
        self.create("expired", "tok_unavailable", until=time.time_ns() // 1_000_000 + 3_000)
        for topic in ("order.commands", "stock.commands"):
            self.system.topics.send_bytes(topic, 0, b"somebody", b"no message", [("ce_type", b"CreateOrder")])

    def _orders_of_version_1(self) -> None:
        """Own events as version 1 had them, among those of version 2."""
        self.system.wait_consumed("order")
        self.services["order"].stop()
        for order, quantity in (("version-1", 2), ("version-1-short", 4_000)):
            partition, offset = self.create(order, lines=[("pot", quantity, 0)], until=None)
            record = {
                "orderId": order,
                "userId": "anne",
                "productId": "pot",
                "quantity": quantity,
                "timestamp": time.time_ns() // 1_000_000,
                "version": "1.0",
            }
            cause = f"order.commands-{partition}-{offset}".encode()
            value = wire_value(self.tree, "OrderCreated.v1", record)
            told = [*headers("OrderCreated"), ("cause", cause), ("keyversion", b"1")]
            self.system.topics.send_bytes("order.events", partition, order.encode(), value, told)
        self.start("order")

    def _status(self, order: str) -> str:
        answer = self.services["order"].get(f"/orders/{order}")
        return str(answer.json().get("status"))

    def _settle(self) -> None:
        early = {"completed": "CONFIRMED", "cancelled": "CONFIRMED"}
        wanted = ENDS | early
        eventually(lambda: {o: self._status(o) for o in wanted} == wanted, "the orders end", 60.0)

    def _afterwards(self) -> None:
        for verb, order in (("complete", "completed"), ("cancel", "cancelled")):
            answer = self.services["order"].post(f"/orders/{order}/{verb}")
            assert answer.status_code == 202, answer.text
        for order in ("expired", "completed"):
            self.command("CompleteOrder", order)
        eventually(lambda: {o: self._status(o) for o in ENDS} == ENDS, "the orders end", 60.0)
        self.system.wait_consumed(*SERVICES)

    def _hold(self) -> None:
        """One order is held for a person, one waits for its next try, of one payment knows nothing."""
        payment = self.services["payment"]
        for order, env in (
            ("held", {"EVENTBUS_RETRY_ATTEMPTS": "1"}),
            ("waiting", {"EVENTBUS_RETRY_ATTEMPTS": "3", "EVENTBUS_RETRY_BACKOFF": "30"}),
        ):
            payment.stop()
            self.start("payment", **env)
            self.create(order, "tok_flaky")
            eventually(lambda o=order: self._is_held(o), f"{order} is held", 60.0)  # type: ignore[misc]
        payment.stop()
        self.create("unpaid")
        eventually(lambda: self._status("unpaid") == "PROCESSING", "unpaid is reserved")
        self.system.wait_consumed("order", "inventory", "notification")

    def _is_held(self, order: str) -> bool:
        seen = self.services["order"].get(f"/orders/{order}").json()
        return "held" in seen and seen["inventory"] == "RESERVED"

    def _ask(self, service: str, *paths: str) -> None:
        answers = {path: self.services[service].get(path) for path in paths}
        assert all(answer.status_code == 200 for answer in answers.values()), answers
        self.answers[service] = {path: answer.json() for path, answer in answers.items()}


def headers(name: str) -> Headers:
    """What a producer says of its message."""
    identity = uuid.uuid4().hex.encode()
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", identity),
        ("ce_type", name.encode()),
        ("ce_source", b"/test"),
        ("content-type", b"application/avro"),
        ("correlationid", identity),
    ]


def pack(folder: Path, archive: Path) -> None:
    """All of a folder but what the processes printed."""
    with tarfile.open(archive, "w:xz", preset=9) as made:
        made.add(folder, ".", filter=_plain)
    print(f"{archive.name}: {archive.stat().st_size / 1024:.0f} KB")


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    name = entry.name.removeprefix("./")
    if name.endswith(("__pycache__", "server.properties")) or (
        name.endswith(".log") and "/data/" not in name and name != "notifications.log"
    ):
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commit", help="of which the archive is to be")
    commit = parser.parse_args(argv).commit
    with tempfile.TemporaryDirectory() as there:
        code, volume = Path(there, "code"), Path(there, "volume")
        code_of_commit(commit, code)
        pack(code, LANDED / "code.tar.xz")
        with LocalKafka(volume, overrides=BROKER) as kafka:
            system = System(kafka.bootstrap_servers, volume, PARTITIONS, PREFIX)
            try:
                recorder = Recorder(code, system)
                recorder.run()
                for name in ("order", "inventory", "notification"):
                    recorder.services[name].stop()
            finally:
                system.close()
        pack(volume, LANDED / "volume.tar.xz")
        (LANDED / "answers.json").write_text(
            json.dumps(recorder.answers, indent=1, ensure_ascii=False) + "\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
