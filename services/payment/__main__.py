"""``python -m services.payment``: reads the environment, connects the gateway, serves until SIGTERM."""

from __future__ import annotations

from dataclasses import replace

from eventbus import Service, Settings, serve
from services.payment.api import routes
from services.payment.cashier import Cashier
from services.payment.decider import give_up, reactor
from services.payment.gateway import HttpGateway
from services.payment.settings import PaymentSettings


def main() -> None:
    """Run one replica of payment."""
    settings = PaymentSettings()
    gateway = HttpGateway(
        settings.gateway_url,
        timeout=settings.gateway_timeout,
        connections=settings.gateway_connections,
        authorization=settings.authorization,
    )
    exhausted = give_up if settings.on_exhausted == "fail" else None
    payment = replace(reactor, call=Cashier(gateway).call, exhausted=exhausted)
    serve(Service("payment", (payment,), ("schemas",), routes, port=8001, on_stop=gateway.close), Settings())


if __name__ == "__main__":
    main()
