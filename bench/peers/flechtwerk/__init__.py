"""Flechtwerk: a stateful hop, exactly once."""
