"""What fraud's log folds to, on record (``python -m tools.recordings``)."""

from examples.fraud.decider import decider

deciders = (decider,)
