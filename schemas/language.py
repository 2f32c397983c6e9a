"""Language tags: what ``Contact.language`` may hold (BCP 47, RFC 5646)."""

from __future__ import annotations

import re

MAX_LANGUAGE = 35
"""Characters of a tag (RFC 5646, 4.4.1)."""
LANGUAGE = r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*"
"""A language, then a script, region or variant: ``de``, ``de-AT``, ``zh-Hant-TW``."""


def wrong_language(text: str) -> str | None:
    """Why ``text`` is no language tag, as a predicate for its field's name; None if it may be one.

    Whether there are texts in that language is for the service that writes to customers to say.
    """
    if len(text) > MAX_LANGUAGE or not re.fullmatch(LANGUAGE, text):
        return "must be a language tag such as de or de-AT"
    return None
