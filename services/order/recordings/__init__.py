"""What order's log folds to, on record (``python -m tools.recordings``)."""

from datetime import timedelta

from services.order.decider import order_decider

deciders = (order_decider(timedelta(hours=1)),)
