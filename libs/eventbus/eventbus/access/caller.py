"""The caller of a route: what it may do, and for which customer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from eventbus.model.messages import Author


class Scope(StrEnum):
    """What a caller may do. No scope includes another."""

    PLACE = "place"
    """Place orders."""
    PRICE = "price"
    """Say the unit prices of an order that it places."""
    READ = "read"
    """See orders, payments and stock."""
    CANCEL = "cancel"
    """Cancel orders."""
    COMPLETE = "complete"
    """Complete orders: the goods were handed over."""
    STOCK = "stock"
    """Adjust stock."""
    ADMIN = "admin"
    """See metrics and dead letters, and whatever route has no rule of its own."""


UNKNOWN = "unauthenticated"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request. It is the same object for each request with the same credentials, while these are valid."""

    id: str
    """Its name, unique among all callers: ``key:shop`` of an API key, ``sub`` and issuer of a token."""
    kind: str
    """The ``authtype`` of CloudEvents' Auth Context extension: ``api_key``, ``app_user``, ``service_account`` …"""
    scopes: frozenset[Scope]
    user_id: str | None = None
    """The customer that it acts for, and whose orders alone it sees; None if it acts for no customer."""

    @property
    def author(self) -> Author | None:
        """The caller as commands name it; None if nobody knows who it is."""
        return None if self.kind == UNKNOWN else Author(self.kind, self.id)

    def may(self, scope: Scope) -> bool:
        """Whether it has this scope."""
        return scope in self.scopes

    def acts_for(self, user_id: str) -> bool:
        """Whether what belongs to this customer is its own to see and change."""
        return self.user_id is None or self.user_id == user_id

    def scoped(self, key: str) -> str:
        """An Idempotency-Key of this caller, as a text that no other caller's key has. No id has a space."""
        return key if self == ANONYMOUS else f"{self.id} {key}"


ANONYMOUS = Caller("public", UNKNOWN, frozenset(Scope))
"""Every caller while access control is off: it has all scopes. Ids of keyed orders depend on its name."""


class NotAuthenticated(Exception):
    """Nobody knows who sent a request. ``error`` and the message are for the client (RFC 6750, 3.1).

    ``error`` is empty if the request has no credentials, and ``invalid_request`` if it is malformed.
    """

    def __init__(self, message: str, error: str = "invalid_token") -> None:
        super().__init__(message)
        self.error = error
