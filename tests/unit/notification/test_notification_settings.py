"""What can be set for notification: what is wrong is named at the start, and no secret is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from eventbus import Settings
from services.notification.__main__ import PATIENCE, patient, service
from services.notification.settings import NotificationSettings

MAIL: dict[str, Any] = {
    "channels": "log,smtp",
    "smtp_url": "smtp://mail.example.org",
    "smtp_sender": "The Shop <orders@shop.example>",
}


def test_without_settings_the_log_is_the_only_channel() -> None:
    settings = NotificationSettings()
    assert settings.names == ("log",)
    assert service(settings).name == "notification"


@pytest.mark.parametrize(
    ("url", "starttls", "expected"),
    [
        ("smtp://mail.example.org", "auto", ("mail.example.org", 587, False, True)),
        ("smtp://mail.example.org:25", "off", ("mail.example.org", 25, False, False)),
        ("smtps://mail.example.org", "auto", ("mail.example.org", 465, True, False)),
        ("smtp://127.0.0.1:1025", "auto", ("127.0.0.1", 1025, False, False)),
        ("smtp://[::1]:1025", "auto", ("::1", 1025, False, False)),
        ("smtp://localhost:1025", "auto", ("localhost", 1025, False, False)),
        ("smtp://localhost:1025", "required", ("localhost", 1025, False, True)),
        ("smtp://127.0.0.1.example.org", "auto", ("127.0.0.1.example.org", 587, False, True)),
    ],
)
def test_starttls_is_required_unless_the_host_is_this_machine(
    url: str, starttls: str, expected: tuple[Any, ...]
) -> None:
    server = NotificationSettings(**{**MAIL, "smtp_url": url, "smtp_starttls": starttls}).server
    assert (server.host, server.port, server.tls, server.starttls) == expected


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"channels": "smoke"}, "there is no channel 'smoke': write some of log, smtp"),
        ({"channels": ""}, "there is no channel ''"),
        ({"channels": "log,log"}, "names a channel twice"),
        ({"smtp_url": None}, "needs NOTIFICATION_SMTP_URL and NOTIFICATION_SMTP_SENDER"),
        ({"smtp_sender": None}, "needs NOTIFICATION_SMTP_URL and NOTIFICATION_SMTP_SENDER"),
        ({"smtp_url": "smtp://ann:secret@mail.example.org"}, "must not hold user and password"),
        ({"smtp_url": "https://mail.example.org"}, "must be a URL such as smtp://"),
        ({"smtp_url": "smtp://"}, "must be a URL such as smtp://"),
        ({"smtp_url": "smtp://mail.example.org/path"}, "must be a URL such as smtp://"),
        ({"smtp_url": "smtp://mail.example.org:99999"}, "Port out of range"),
        ({"smtp_sender": "nobody"}, "must be an address such as"),
        ({"smtp_sender": "Shop <orders@shop.example>\nBcc: b@c"}, "must be an address such as"),
        ({"smtp_user": "ann"}, "go together"),
        ({"smtp_password": "secret"}, "go together"),
        ({"smtp_user": "ann", "smtp_password": "secret", "smtp_starttls": "off"}, "would travel readable"),
        ({"language": "german"}, "must be a language tag"),
        ({"timezone": "Berlin"}, "must be a time zone"),
        ({"timezone": "../etc/passwd"}, "must be a time zone"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named_and_no_secret_is_shown(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        NotificationSettings(**{**MAIL, **wrong})
    assert "secret" not in str(caught.value)


def test_a_password_is_never_printed() -> None:
    settings = NotificationSettings(**MAIL, smtp_user="ann", smtp_password="secret")
    assert "secret" not in repr(settings) + repr(settings.server)
    assert settings.server.password == "secret"


def test_settings_of_mail_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in MAIL.items():
        monkeypatch.setenv(f"NOTIFICATION_{name.upper()}", value)
    monkeypatch.setenv("NOTIFICATION_TEMPLATES", "/texts")
    settings = NotificationSettings()
    assert settings.names == ("log", "smtp") and settings.templates == Path("/texts")
    assert (str(settings.sender), settings.sender.domain) == (
        "The Shop <orders@shop.example>",
        "shop.example",
    )


def test_mail_is_patient_unless_something_else_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTBUS_RETRY_LONGEST", "7")
    chosen = patient(Settings(), ("log", "smtp"))
    assert (chosen.retry_attempts, chosen.retry_longest) == (PATIENCE["retry_attempts"], 7)
    assert patient(Settings(), ("log",)).retry_attempts == Settings().retry_attempts
