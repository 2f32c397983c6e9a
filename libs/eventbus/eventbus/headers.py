"""CloudEvents 1.0 headers (Kafka binding, binary mode), and W3C Trace Context.

Every attribute is a header ``ce_<name>``, an extension too. ``authtype`` and ``authid`` say who wished a command (the
"Auth Context" extension); ``correlationid``, ``causationid``, ``cause`` and ``keyversion`` are ours. Three of these
had no prefix once. Such records stay in the logs, so both names are read
(:meth:`~eventbus.model.record.Raw.extension`), and both are written while processes may read the old ones only.
Source: CloudEvents "Kafka Protocol Binding" 1.0.2, section 3.2.3; "Distributed correlation" extension.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from eventbus.model.limits import MAX_COPIED, MAX_KEY
from eventbus.model.messages import Author, Envelope
from eventbus.model.places import whole_number
from eventbus.model.record import LATEST, Headers, Raw

COPIED = ("ce_id", "ce_correlationid", "correlationid", "traceparent")
"""The headers that are copied to whatever a message leads to."""


def headers_of(envelope: Envelope, *, old_names: bool = True) -> Headers:
    """The headers a message travels with. ``old_names``: those that had no prefix are there without it too."""
    correlation_id = envelope.correlation_id.encode()
    headers: Headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", envelope.id.encode()),
        ("ce_type", envelope.message.name.encode()),
        ("ce_source", envelope.source.encode()),
        ("ce_time", rfc3339(envelope.time).encode()),
        ("ce_subject", envelope.message.key.encode()),
        ("content-type", b"application/avro"),
        ("ce_correlationid", correlation_id),
    ]
    old: Headers = [("correlationid", correlation_id)]
    if envelope.cause is not None:
        cause = envelope.cause.encode()
        headers.append(("ce_cause", cause))
        old.append(("cause", cause))
    if envelope.key_version is not None:
        version = b"%d" % envelope.key_version
        headers.append(("ce_keyversion", version))
        old.append(("keyversion", version))
    if envelope.causation_id is not None:
        headers.append(("ce_causationid", envelope.causation_id.encode()))
    if envelope.author is not None:
        headers.append(("ce_authtype", envelope.author.kind.encode()))
        headers.append(("ce_authid", envelope.author.id.encode()))
    if old_names:
        headers += old
    if envelope.traceparent:
        headers.append(("traceparent", envelope.traceparent.encode()))
    return headers


class Told:
    """What the headers of a record say. What is not usable (too long, no number, no date) counts as absent.

    Of several headers with one name the last one counts. Text that is no UTF-8 is read with replacement characters.
    """

    def __init__(self, raw: Raw) -> None:
        self._named, self._raw_time = raw.named, raw.timestamp

    def header(self, name: str) -> str | None:
        """The text of a header; None if it is absent, empty or too long."""
        value = self._named.get(name)
        return _short(name, value) if value else None

    def extension(self, name: str) -> str | None:
        """The text of an extension, from the header that :meth:`~eventbus.model.record.Raw.extension` reads."""
        return self.header(name if name in self._named else f"ce_{name}")

    @property
    def time(self) -> int:
        """Ms since epoch: ``ce_time``, or else the record's own time."""
        return _millis(self.header("ce_time"), self._raw_time)

    @property
    def author(self) -> Author | None:
        """Who wished it, as whoever wrote the record says."""
        identity = self.header("ce_authid")
        return Author(self.header("ce_authtype") or "unknown", identity) if identity else None

    @property
    def key_version(self) -> int | None:
        """Which event of its key the record is, from 1."""
        return _number(self.extension("keyversion"))


def rfc3339(millis: int) -> str:
    """Ms since epoch as RFC 3339 text in UTC, to the millisecond: ``2026-05-04T10:00:00.000Z``."""
    return _rfc3339(millis)


@lru_cache(maxsize=64)
def _rfc3339(millis: int) -> str:
    # All that a turn writes has one time.
    date = datetime.fromtimestamp(millis / 1000, UTC)
    return date.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def left_out(raw: Raw) -> list[str]:
    """The headers of a record that would be copied on, but are too long for that."""
    return [name for name in COPIED if (value := raw.named.get(name)) and _short(name, value) is None]


def _short(name: str, value: bytes) -> str | None:
    """A header as text; None if it is longer than such a header may be."""
    if len(value) <= MAX_COPIED:  # it has no more characters than bytes, and no header may have fewer
        return value.decode("utf-8", "replace")
    most = MAX_COPIED if name in COPIED else MAX_KEY
    if len(value) > 4 * most:  # a character has at most four bytes
        return None
    text = value.decode("utf-8", "replace")
    return text if len(text) <= most else None


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else whole_number(text)
    except ValueError:
        return None


def _millis(text: str | None, default: int) -> int:
    """The time in a header, ms since epoch; ``default`` where it says none between 1970 and 9999."""
    default = default if 0 <= default <= LATEST else 0
    if not text:
        return default
    try:
        time = round(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError):
        return default
    return time if 0 <= time <= LATEST else default
