"""A notice as a mail (RFC 5322): its headers, its text and its HTML part."""

from __future__ import annotations

import hashlib
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from urllib.parse import quote

from services.notification.letters import Letter

MAX_LOCAL = 200
"""Characters of an id before the ``@``; a longer one is hashed, since a line of a mail has 998 at most."""


def mail(
    letter: Letter, *, message_id: str, order_id: str, sender: Address, recipient: str, now: datetime
) -> EmailMessage:
    """The mail for a letter. ``message_id`` is the notice's: a repeat carries the same ``Message-ID``.

    All mails of an order refer to the order's own id, so mail programs show them as one thread (RFC 5322, 3.6.4).
    ``Auto-Submitted`` keeps vacation messages from answering (RFC 3834). A server may put a ``Message-ID`` of its own
    in place of this one, as Amazon SES does: ``X-Notification-ID`` stays.
    """
    name, _, host = recipient.rpartition("@")
    message = EmailMessage(SMTP if recipient.isascii() else SMTPUTF8)
    message["From"] = sender
    message["To"] = Address(username=name, domain=host)
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{local_part(message_id)}@{sender.domain}>"
    message["References"] = f"<{local_part(order_id)}@{sender.domain}>"
    message["X-Notification-ID"] = local_part(message_id)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text, cte="quoted-printable")
    message.add_alternative(letter.html, subtype="html", cte="quoted-printable")
    message["Content-Language"] = letter.language  # set earlier, it would have become one of the first part
    message.set_boundary(hashlib.sha256(message_id.encode()).hexdigest()[:40])
    return message


def deliverable(address: str) -> str:
    """``address`` with its host in ASCII (RFC 5890), so that only a name in other letters needs SMTPUTF8 of a server.

    Raises UnicodeError for a host that has no such form.
    """
    name, _, host = address.rpartition("@")
    return f"{name}@{host.encode('idna').decode()}" if name.isascii() and not host.isascii() else address


def local_part(text: str) -> str:
    """``text`` as a dot-atom (RFC 5322, 3.2.3): its letters and digits as they are, anything else as ``%`` and its
    bytes."""
    encoded = quote(text, safe="").replace(".", "%2E").replace("%3A", ".")
    if len(encoded) > MAX_LOCAL or encoded.startswith(".") or encoded.endswith(".") or ".." in encoded:
        return hashlib.sha256(text.encode()).hexdigest()
    return encoded
