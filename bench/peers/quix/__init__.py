"""Quix Streams: a stateful hop, exactly once."""
