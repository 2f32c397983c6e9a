"""Parameters that several routes of orders have."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator

from eventbus.http import ONE_LINE, one_line
from services.order.rules import MAX_TEXT

OrderId = Annotated[
    str,
    Path(
        alias="orderId",
        description="The order.",
        examples=["5013e32a-78d8-583b-9096-bc5c8a2a3005"],
        min_length=1,
        max_length=MAX_TEXT,
        json_schema_extra={"pattern": ONE_LINE},
    ),
    AfterValidator(one_line),
]
