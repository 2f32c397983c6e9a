"""What can be set for notification, from environment variables that start with ``NOTIFICATION_``."""

from __future__ import annotations

from email.errors import MessageError
from email.headerregistry import Address
from email.utils import parseaddr
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.address import wrong_address
from schemas.language import wrong_language
from services.notification.line_file import LineFile
from services.notification.smtp import SmtpServer

CHANNELS = ("log", "smtp")
PORTS = {"smtp": 587, "smtps": 465}


def _channels(text: str) -> str:
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in CHANNELS]:
        raise ValueError(
            f"there is no channel {unknown[0]!r}: write some of {', '.join(CHANNELS)}, with commas"
        )
    if len(set(names)) < len(names):
        raise ValueError("names a channel twice")
    return ",".join(names)


def _smtp_url(url: str) -> str:
    """Holds no secret, since it stands in errors. Its own error does not show it."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError(
            "must not hold user and password: set NOTIFICATION_SMTP_USER and NOTIFICATION_SMTP_PASSWORD, "
            "and take them out of the URL"
        )
    if (
        parts.scheme not in PORTS
        or not parts.hostname
        or parts.path.strip("/")
        or parts.query
        or parts.fragment
    ):
        raise ValueError("must be a URL such as smtp://mail.example.org:587 or smtps://mail.example.org:465")
    _ = parts.port  # raises ValueError for one that is none
    return url


def _sender(text: str) -> str:
    name, address = parseaddr(text)
    try:
        if wrong_address(address) or not text.isprintable():
            raise ValueError(text)
        Address(name, addr_spec=address)
    except (ValueError, MessageError):
        raise ValueError("must be an address such as Shop <orders@shop.example>") from None
    return text


def _language(tag: str) -> str:
    if wrong := wrong_language(tag):
        raise ValueError(wrong)
    return tag


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("must be a time zone such as Europe/Berlin") from None
    return name


class NotificationSettings(BaseSettings):
    """How customers are notified. Times in seconds."""

    model_config = SettingsConfigDict(
        env_prefix="NOTIFICATION_", env_parse_none_str="none", frozen=True, hide_input_in_errors=True
    )

    channels: Annotated[str, AfterValidator(_channels)] = Field(
        default="log", description="``log``, ``smtp``, or several with commas: each tells the customer"
    )
    on_exhausted: Literal["park", "fail"] = Field(
        default="park", description="after the last try: wait for a person, or record NotificationFailed"
    )
    file: Path | None = Path(".run/notifications.log")
    """Where the default channel writes, readable for its owner only. ``none``: to the log only, addresses masked."""
    file_size: int = Field(
        default=10_000_000, ge=10_000, description="bytes the file may have before it becomes <file>.1"
    )
    files_kept: int = Field(default=5, ge=1, description="older files that are kept, <file>.1 the youngest")

    smtp_url: Annotated[str, AfterValidator(_smtp_url)] | None = Field(
        default=None,
        description="of the mail server: ``smtp://host:587``, or ``smtps://host:465`` for TLS from the first byte",
    )
    smtp_starttls: Literal["auto", "required", "off"] = Field(
        default="auto",
        description="for ``smtp://``; ``auto`` requires it unless the host is a loopback address",
    )
    smtp_ca: Path | None = Field(
        default=None, description="PEM file with the certificates to trust; those of the system if unset"
    )
    smtp_user: str | None = Field(default=None, description="for the mail server, with a password")
    smtp_password: SecretStr | None = Field(default=None, description="of that user; never printed")
    smtp_sender: Annotated[str, AfterValidator(_sender)] | None = Field(
        default=None, description="the address that mails come from, such as ``Shop <orders@shop.example>``"
    )
    smtp_timeout: float = Field(default=30.0, gt=0, description="for a connection, and for a mail on it")
    smtp_connections: int = Field(default=8, ge=1, le=100, description="to the mail server at once")

    templates: Path | None = Field(
        default=None, description="folder with texts of your own, which go before those of the service"
    )
    language: Annotated[str, AfterValidator(_language)] = Field(
        default="en", description="of mails to customers who asked for none that there are texts in"
    )
    timezone: Annotated[str, AfterValidator(_timezone)] = Field(
        default="UTC", description="of times in mails"
    )

    @model_validator(mode="after")
    def _mail_is_complete(self) -> Self:
        if (self.smtp_user is None) != (self.smtp_password is None):
            raise ValueError(
                "NOTIFICATION_SMTP_USER and NOTIFICATION_SMTP_PASSWORD go together: set both, or none"
            )
        if "smtp" not in self.names:
            return self
        if self.smtp_url is None or self.smtp_sender is None:
            raise ValueError("the channel smtp needs NOTIFICATION_SMTP_URL and NOTIFICATION_SMTP_SENDER")
        server = self.server
        if self.smtp_password and not (server.tls or server.starttls or _is_loopback(server.host)):
            raise ValueError(
                "NOTIFICATION_SMTP_PASSWORD would travel readable: leave NOTIFICATION_SMTP_STARTTLS=off out, "
                "or use smtps://"
            )
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The channels in use."""
        return tuple(self.channels.split(","))

    @property
    def lines(self) -> LineFile | None:
        """Where the lines go besides the log."""
        return None if self.file is None else LineFile(self.file, self.file_size, self.files_kept)

    @property
    def server(self) -> SmtpServer:
        """The mail server. Only with the channel ``smtp``."""
        url: SplitResult = urlsplit(self.smtp_url or "")
        host, tls = url.hostname or "", url.scheme == "smtps"
        wanted = not _is_loopback(host) if self.smtp_starttls == "auto" else self.smtp_starttls == "required"
        return SmtpServer(
            host=host,
            port=url.port or PORTS[url.scheme],
            tls=tls,
            starttls=wanted and not tls,
            ca=self.smtp_ca,
            user=self.smtp_user,
            password=self.smtp_password.get_secret_value() if self.smtp_password else None,
            timeout=self.smtp_timeout,
            connections=self.smtp_connections,
        )

    @property
    def sender(self) -> Address:
        """Whom mails come from. Only with the channel ``smtp``."""
        name, address = parseaddr(self.smtp_sender or "")
        return Address(name, addr_spec=address)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
