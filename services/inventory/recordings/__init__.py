"""What inventory's two logs fold to, on record (``python -m tools.recordings``)."""

from services.inventory.reservation import reservation_decider
from services.inventory.stock import stock_decider

deciders = (reservation_decider, stock_decider)
