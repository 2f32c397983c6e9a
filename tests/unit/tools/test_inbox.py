"""The inbox of ``make up MAIL=1``: mails that are handed in by SMTP are shown, and can do no harm."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest

from tests.support.processes import ServiceProcess, python
from tests.support.waiting import eventually
from tools.inbox.store import Store
from tools.stack.ports import free_port


class Inbox:
    """The process, as `make up MAIL=1` starts it."""

    def __init__(self, directory: Path) -> None:
        self.smtp, self.port = free_port(), free_port()
        env = {
            "INBOX_SMTP_PORT": str(self.smtp),
            "INBOX_PORT": str(self.port),
            "INBOX_DIRECTORY": str(directory / "mail"),
        }
        self.process = ServiceProcess("inbox", python("tools.inbox"), env, self.port, directory / "inbox.log")
        self.process.start()
        eventually(self._answers, "the inbox answers")

    def _answers(self) -> bool:
        try:
            return self.get("/").status_code == 200
        except httpx.TransportError:
            return False

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.process.http.get(path, headers=headers)

    def hand_in(self, subject: str, text: str, html: str) -> str:
        """Send one mail; returns its id in the inbox."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", subject
        message.set_content(text)
        message.add_alternative(html, subtype="html")
        with smtplib.SMTP("127.0.0.1", self.smtp, timeout=20) as client:
            client.send_message(message)
        return str(self.get("/mails").json()[0]["id"])


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inbox]:
    inbox = Inbox(tmp_path_factory.mktemp("inbox"))
    yield inbox
    assert inbox.process.stop() < 20


def test_a_mail_is_listed_and_shown(inbox: Inbox) -> None:
    id = inbox.hand_in("Grüße", "the text", "<p>the page</p>")
    first = inbox.get("/mails").json()[0]
    assert (first["to"], first["subject"], first["text"].strip()) == (["b@example.org"], "Grüße", "the text")
    assert f'<a href="/mails/{id}">Grüße</a>' in inbox.get("/").text
    assert "the text" in inbox.get(f"/mails/{id}").text
    assert inbox.get(f"/mails/{id}/html").text.strip() == "<p>the page</p>"
    assert inbox.get(f"/mails/{id}/raw").text.startswith("X-Envelope-To: b@example.org")


def test_a_mail_runs_no_script_in_the_page_that_shows_it(inbox: Inbox) -> None:
    script = "<script>alert(1)</script>"
    id = inbox.hand_in(script, script, script)
    for path in ("/", f"/mails/{id}"):
        assert script not in inbox.get(path).text
    page = inbox.get(f"/mails/{id}/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "sandbox" in page.headers["content-security-policy"].split("; ")


def test_another_host_name_and_another_file_read_nothing(inbox: Inbox) -> None:
    assert inbox.get("/mails", host="evil.example").status_code == 421
    for id in ("0", "nothing", "..%2F..%2Finbox.log"):
        assert inbox.get(f"/mails/{id}").status_code == 404
        assert inbox.get(f"/mails/{id}/raw").status_code == 404


def test_the_latest_mails_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.inbox.store.KEPT", 3)
    store = Store(tmp_path)
    for number in range(5):
        store.add(["b@example.org"], f"Subject: {number}\r\n\r\n".encode())
    assert [caught.header("Subject") for caught in store.latest(10)] == ["4", "3", "2"]
