"""The dry run of a redrive or discard, on any replica: a turn on local state that is never committed."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query

from eventbus.admin import Discard, Redrive
from eventbus.codec import Codec
from eventbus.http.openapi import Responses, json_example, problem_responses
from eventbus.http.problem_types import UNAVAILABLE
from eventbus.kafka.records import partition_of
from eventbus.model.places import Entity
from eventbus.processing.context import turn_context
from eventbus.processing.ports import epoch_ms
from eventbus.processing.turn import Turn
from eventbus.retry.parked import Parked, State
from eventbus.retry.preview import Preview, previews
from eventbus.service.bus import Bus
from eventbus.settings import Settings
from eventbus.state.store import Store

PREVIEW: Responses = {
    200: json_example(
        {
            "service": "payment",
            "key": "5013e32a-78d8-583b-9096-bc5c8a2a3005",
            "messages": [
                {
                    "coordinates": "order.events-3-17",
                    "type": "OrderCreated",
                    "verdict": "calls outside",
                    "state": "REDRIVEN",
                    "events": [],
                    "error": "",
                }
            ],
        }
    ),
    **problem_responses(UNAVAILABLE),
}


class _Snapshot:
    """A store as it stands, read by a connection that does not write."""

    def __init__(self, store: Store) -> None:
        self.load = store.load
        self._store = store

    @property
    def parked(self) -> _Snapshot:
        return self

    def queue(self, entity: Entity) -> list[Parked]:
        return self._store.parked.stored(entity)

    def known(self, coordinates: str) -> State | None:
        return None


def dry_run(
    service: str, settings: Settings, codec: Codec, store: Store, partitions: int, command: Redrive | Discard
) -> list[Preview]:
    """The effect on each message of a key. Nothing is written, nobody is called.

    The rules run as the leader would run them now, up to the first call to the outside.
    """
    context = turn_context(
        service,
        store.deciders,
        codec,
        settings,
        _Snapshot(store),
        partial(partition_of, count=partitions),
        clock=epoch_ms,
        jitter=lambda: 0.0,
    )
    store.db.execute("BEGIN")  # one snapshot: state and queue belong together
    try:
        turn = Turn(context)
        logs = [log for log in store.deciders if command.log in (None, log)]
        queues = [list(turn.retry_queues.queue(Entity(log, command.key))) for log in logs]
        turn.carry_out(command)
        return [preview for queue in queues for preview in previews(queue, turn.retry_queues.changed)]
    finally:
        store.db.execute("ROLLBACK")


def preview_route(app: FastAPI, bus: Bus) -> None:
    """``GET /dlq/preview``: what a redrive or discard of a key would do, on this replica's view of the logs."""

    @app.get("/dlq/preview", tags=["operation"], responses=PREVIEW)
    async def preview(
        key: Annotated[
            str, Query(description="whose messages are parked", min_length=1, examples=["order-1"])
        ],
        log: Annotated[str | None, Query(description="of this decider only")] = None,
        action: Literal["redrive", "discard"] = "redrive",
        count: Annotated[int | None, Query(description="discard: the oldest only", ge=1)] = None,
    ) -> dict[str, Any]:
        """What a redrive or a discard would do to each message of a key. Changes nothing, and makes no call."""
        command = (
            Redrive(message_key=key, log=log)
            if action == "redrive"
            else Discard(message_key=key, log=log, count=count)
        )
        found = bus.consult(
            lambda codec, store, partitions: dry_run(
                bus.service, bus.settings, codec, store, partitions, command
            )
        )
        return {"service": bus.service, "key": key, "messages": [as_json(one) for one in found]}


def as_json(preview: Preview) -> dict[str, Any]:
    """A message and the effect on it, as JSON."""
    raw, after = preview.before.raw, preview.after
    failed = bool(after.exception) and after.state.open
    return {
        "coordinates": raw.coordinates,
        "type": raw.header("ce_type") or "",
        "verdict": preview.effect.value,
        "state": after.state.value,
        "events": list(after.events),
        "error": f"{after.exception}: {after.message}" if failed else "",
    }
