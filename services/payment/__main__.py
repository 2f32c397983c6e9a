"""The payment service: ``python -m services.payment``. Only this file reads the environment."""

from __future__ import annotations

from eventbus import Mirror, Service, Settings, serve
from schemas import PaymentFailed
from services.payment.api import RULES, payment_routes
from services.payment.decider import give_up, payment_reactor
from services.payment.gateway import HttpGateway
from services.payment.idempotent_gateway import IdempotentGateway
from services.payment.settings import PaymentSettings


def service(settings: PaymentSettings | None = None) -> Service:
    """What payment is made of. Opens no connection."""
    settings = settings or PaymentSettings()
    gateway = HttpGateway(
        settings.gateway_url,
        timeout=settings.gateway_timeout,
        connections=settings.gateway_connections,
        authorization=settings.authorization,
    )
    payment = payment_reactor(
        IdempotentGateway(gateway).call,
        on_retries_exhausted=give_up if settings.on_exhausted == "fail" else None,
    )
    return Service(
        name="payment",
        deciders=(payment,),
        schemas=("schemas",),
        mirrors=(Mirror(PaymentFailed, major=1),) if Settings().v1_topics else (),
        routes=payment_routes(payment),
        rules=RULES,
        port=8001,
        on_stop=gateway.close,
    )


if __name__ == "__main__":
    serve(service(), Settings())
