"""E-mail addresses: what ``Contact.email`` may hold, and how an address is shown where it must not be readable."""

from __future__ import annotations

import re

MAX_ADDRESS = 254
"""Characters (RFC 5321, 4.5.3.1.3, less the two brackets)."""
_MARKS = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~"
_ATOM = rf"[{_MARKS}-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
ADDRESS = rf"[{_MARKS}][{_MARKS}-]*(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*"
"""A dot-atom at a host name (RFC 5321, 4.1.2), in ASCII. No quoted names, no comments, no addresses in brackets, and
no hyphen at the beginning, where mail programs read an option."""


def wrong_address(text: str) -> str | None:
    """Why ``text`` is no e-mail address, as a predicate for its field's name; None if it may be one.

    Only a mail server knows whether mail arrives there. This rule refuses what would forge a line of a log, a header
    of a mail or a command to a mail server, and what such a server takes for several addresses, a route or an option.
    Letters of all alphabets may stand where ASCII ones may (RFC 6531).
    """
    if len(text) > MAX_ADDRESS or not text.isprintable():
        return "must be an e-mail address"
    host = text.rpartition("@")[2]
    plain = "".join(c if c.isascii() else "x" for c in text)
    if not re.fullmatch(ADDRESS, plain) or not all(c.isascii() or c.isalnum() for c in host):
        return "must be an e-mail address"
    return None


def masked(address: str) -> str:
    """``ann@example.org`` as ``a…@example.org``: enough to recognise, too little to write to."""
    name, _, host = address.rpartition("@")
    return f"{name[:1]}…@{host}"
