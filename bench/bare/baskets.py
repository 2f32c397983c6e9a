"""What every hop over baskets reads and writes: the schemas of ``bench.baskets``, as bare files."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "baskets"
FILL, FILLED = "basket.commands/FillBasket.v1", "basket.events/BasketFilled.v1"
