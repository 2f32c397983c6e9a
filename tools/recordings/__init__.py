"""Recorded logs: what each fold makes of every event it can meet, held for ever (``python -m tools.recordings``)."""
