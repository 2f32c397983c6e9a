"""What is heard settling: what order wrote, and nothing else, whatever stands in its log."""

from __future__ import annotations

from eventbus import Settings
from eventbus.codec import Codec
from eventbus.model.record import Headers, Raw
from schemas import OrderFailed
from tools.arrivals import Arrivals

CAUSE = ("cause", b"order.commands-0-0")
FAILED = OrderFailed(order_id="o1", user_id="u", stage="PAYMENT", reason="declined", timestamp=1)


def heard(key: bytes | None, value: bytes, *headers: tuple[str, bytes | None]) -> dict[str, str]:
    arrivals = Arrivals(Settings(bootstrap_servers="127.0.0.1:1"))
    given: Headers = list(headers)
    arrivals._note(Raw("order.events", 0, 0, key, value, given, 0), 1.0)
    return {order: f"{settled.status} {settled.why}".strip() for order, settled in arrivals.settled.items()}


def test_an_event_of_orders_is_heard() -> None:
    assert heard(b"o1", b"", ("ce_type", b"OrderConfirmed"), CAUSE) == {"o1": "CONFIRMED"}
    value = Codec("schemas").encode(FAILED)
    assert heard(b"o1", value, ("ce_type", b"OrderFailed"), CAUSE) == {"o1": "FAILED PAYMENT: declined"}


def test_what_order_cannot_have_written_is_not_heard() -> None:
    confirmed = ("ce_type", b"OrderConfirmed")
    assert heard(b"o1", b"", confirmed) == {}
    assert heard(None, b"", confirmed, CAUSE) == {}
    assert heard(b"\xff", b"", confirmed, CAUSE) == {}
    assert heard(b"o1", b"\0", ("ce_type", b"OrderFailed"), CAUSE) == {}
    assert heard(b"o1", b"", ("ce_type", None), ("ce_type", b"\xff"), CAUSE) == {}
