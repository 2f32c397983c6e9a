"""What operators say: about messages that wait, on ``<service>.admin``; about records to be skipped, to everybody."""

from eventbus.admin.messages import Discard, Redrive, Skip

__all__ = ["Discard", "Redrive", "Skip"]
