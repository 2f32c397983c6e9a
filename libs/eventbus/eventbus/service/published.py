"""A value that one thread publishes once, and that others ask for from the beginning."""

from __future__ import annotations

from typing import Generic, TypeVar

from eventbus.model.errors import Unavailable

T = TypeVar("T")


class Published(Generic[T]):
    """Holds a value from the moment it is published. Any thread may publish it, and any thread may ask for it.

    ``missing`` is what :meth:`get` says until then: it is the detail of an answer 503.
    """

    def __init__(self, missing: str) -> None:
        self.missing = missing
        self._value: T | None = None

    def publish(self, value: T) -> None:
        """From now on there is a value. It is published whole, and never replaced."""
        assert self._value is None, "a value is published once"
        self._value = value

    def peek(self) -> T | None:
        """The value, or None if there is none yet."""
        return self._value

    def get(self) -> T:
        """The value. Raises Unavailable if there is none yet."""
        if self._value is None:
            raise Unavailable(self.missing)
        return self._value
