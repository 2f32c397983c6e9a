"""E-mail addresses: what ``Contact.email`` may hold, and how an address is shown where it must not be readable."""

from __future__ import annotations

MAX_ADDRESS = 254
"""Characters (RFC 5321, 4.5.3.1.3, less the two brackets)."""


def wrong_address(text: str) -> str | None:
    """Why ``text`` is no e-mail address, as a predicate for its field's name; None if it may be one.

    Only a mail server knows whether mail arrives there. This rule refuses what would forge a line of a log or a
    header of a mail.
    """
    name, at, host = text.rpartition("@")
    well_formed = name and at and host and "@" not in name and " " not in text
    if not well_formed or len(text) > MAX_ADDRESS or not text.isprintable():
        return "must be an e-mail address"
    return None


def masked(address: str) -> str:
    """``ann@example.org`` as ``a…@example.org``: enough to recognise, too little to write to."""
    name, _, host = address.rpartition("@")
    return f"{name[:1]}…@{host}"
