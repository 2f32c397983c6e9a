"""Faust (faust-streaming): a stateful hop, exactly once."""
