"""What payment's log folds to, on record (``python -m tools.recordings``)."""

from services.payment.decider import reactor

deciders = (reactor,)
