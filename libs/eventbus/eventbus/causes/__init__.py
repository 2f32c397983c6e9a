"""Why things happened: the causal tree of a key, from the first command to the last effect, read from the topics."""

from eventbus.causes.answer import Question, Why, why

__all__ = ["Question", "Why", "why"]
