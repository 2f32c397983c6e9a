"""``python -m parcels``: ``PUT /parcels/{id}?sender=`` sends a parcel, ``GET /parcels/{id}`` says who sent it."""

from __future__ import annotations

from fastapi import FastAPI

from eventbus import Bus, Service, serve
from eventbus.http import NOT_FOUND, Problem
from parcels.decider import decider
from parcels.messages import SendParcel


def routes(app: FastAPI, bus: Bus) -> None:
    @app.put("/parcels/{parcel_id}")
    async def send(parcel_id: str, sender: str) -> dict[str, list[str]]:
        sent = await bus.send(SendParcel(parcel_id=parcel_id, sender=sender))
        return {"events": [event.name for event in await bus.answer(sent, timeout=10.0)]}

    @app.get("/parcels/{parcel_id}")
    async def parcel(parcel_id: str) -> dict[str, str | int]:
        await bus.caught_up(SendParcel.topic, parcel_id)
        if entry := bus.read(decider, parcel_id):
            return {"parcelId": parcel_id, "sender": entry.state.sender, "version": entry.version}
        raise Problem(NOT_FOUND, f"no parcel {parcel_id!r} was sent")


def service() -> Service:
    return Service("parcel", (decider,), ("parcels",), routes, sends=(SendParcel,), port=8100)


if __name__ == "__main__":
    serve(service())
