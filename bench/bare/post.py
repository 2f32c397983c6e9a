"""``python -m bench.bare.post``: a FastAPI app with one route. It answers once the order is durable in Kafka."""

from __future__ import annotations

import argparse
import asyncio
import threading
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from decimal import Decimal

import uvicorn
from confluent_kafka import KafkaError, Message, Producer
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from bench.bare.clients import as_batch_work, durable_producer
from bench.bare.record import COMMAND, AvroCodec

Delivery = tuple["asyncio.Future[None]", KafkaError | None]


class Body(BaseModel):
    """A JSON object in camelCase without unknown fields."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)


class ItemBody(Body):
    """One line of an order."""

    product_id: str = Field(min_length=1, max_length=256)
    quantity: int = Field(ge=1, le=100_000)
    unit_price: Decimal = Field(ge=0, max_digits=18, decimal_places=2)


class ContactBody(Body):
    """Where the customer is notified about the order."""

    email: str | None = Field(None, max_length=254)


class OrderBody(Body):
    """An order of one or more lines."""

    user_id: str = Field(min_length=1, max_length=256)
    items: list[ItemBody] = Field(min_length=1, max_length=2_000)
    currency: str = Field("GBP", pattern="^[A-Z]{3}$")
    payment_method: str = Field("tok_ok", min_length=1, max_length=256)
    contact: ContactBody | None = None


class DurableSender:
    """Produces, and lets each caller wait for its delivery. Deliveries that come together wake the loop once."""

    def __init__(self, producer: Producer, topic: str) -> None:
        self._producer, self._topic = producer, topic
        self._loop = asyncio.get_running_loop()
        self._delivered: deque[Delivery] = deque()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="deliveries", daemon=True)
        self._thread.start()

    async def send(self, key: str, value: bytes) -> None:
        """Return once the record is durable. Raises RuntimeError if it will not be."""
        future: asyncio.Future[None] = self._loop.create_future()

        def on_delivery(error: KafkaError | None, _: Message) -> None:
            self._delivered.append((future, error))

        self._producer.produce(self._topic, value, key.encode(), on_delivery=on_delivery)
        await future

    def _answer(self) -> None:
        while self._delivered:
            future, error = self._delivered.popleft()
            if not future.done():
                future.set_exception(RuntimeError(error.str())) if error else future.set_result(None)

    def _poll(self) -> None:
        as_batch_work()
        while not self._closing.is_set():
            self._producer.poll(0.2)
            if self._delivered:
                self._loop.call_soon_threadsafe(self._answer)

    def close(self) -> None:
        """Wait for what is under way."""
        self._closing.set()
        self._thread.join()
        self._producer.flush(10)


def app_for(servers: str, topic: str) -> FastAPI:
    """The app, writing to a topic of the given Kafka."""
    codec = AvroCodec(COMMAND)
    senders: list[DurableSender] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with ThreadPoolExecutor(
            1, initializer=as_batch_work
        ) as thread:  # the producer's own threads are as this one
            producer = thread.submit(durable_producer, servers).result()
        senders.append(DurableSender(producer, topic))
        yield
        senders.pop().close()

    app = FastAPI(lifespan=lifespan)

    @app.post("/orders")
    async def create(order: OrderBody) -> JSONResponse:
        order_id = str(uuid.uuid4())
        await senders[0].send(order_id, codec.encode(record_of(order_id, order)))
        return JSONResponse(
            {"orderId": order_id, "status": "CREATED"}, 202, {"Location": f"/orders/{order_id}"}
        )

    return app


def record_of(order_id: str, order: OrderBody) -> dict[str, object]:
    """The order as an Avro record."""
    return {
        "orderId": order_id,
        "userId": order.user_id,
        "items": [
            {"productId": item.product_id, "quantity": item.quantity, "unitPrice": int(item.unit_price * 100)}
            for item in order.items
        ],
        "currency": order.currency,
        "paymentMethod": order.payment_method,
        "contact": {"email": order.contact.email} if order.contact else None,
        "timestamp": int(time.time() * 1000),
    }


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m bench.bare.post", description=__doc__)
    parser.add_argument("--servers", required=True, help="Kafka")
    parser.add_argument("--topic", required=True, help="topic to write")
    parser.add_argument("--port", type=int, required=True, help="to listen on, at 127.0.0.1")
    options = parser.parse_args()
    app = app_for(options.servers, options.topic)
    uvicorn.run(
        app, host="127.0.0.1", port=options.port, loop="uvloop", http="httptools", log_level="warning"
    )


if __name__ == "__main__":
    main()
