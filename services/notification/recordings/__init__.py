"""What notification's log folds to, on record (``python -m tools.recordings``)."""

from services.notification.decider import reactor

deciders = (reactor,)
