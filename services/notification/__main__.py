"""The notification service: ``python -m services.notification``. Only this file reads the environment."""

from __future__ import annotations

from contextlib import AsyncExitStack
from zoneinfo import ZoneInfo

from eventbus import Service, Settings, serve
from services.notification.channel import LogChannel
from services.notification.decider import give_up, notification_reactor
from services.notification.letters import Letters
from services.notification.messenger import Messenger
from services.notification.settings import NotificationSettings
from services.notification.smtp import SmtpChannel

PATIENCE = {"retry_attempts": 20, "retry_longest": 600.0, "call_timeout": 90.0}
"""Of the library's settings, what mail needs unless it is set: two hours of tries, since a full mailbox or a server
that makes strangers wait takes longer than most outages; and calls that may wait for one of few connections."""


def service(settings: NotificationSettings | None = None) -> Service:
    """What notification is made of. Opens no file and no connection."""
    settings = settings or NotificationSettings()
    messenger = Messenger()
    notification = notification_reactor(
        messenger.call,
        settings.names,
        on_retries_exhausted=give_up if settings.on_exhausted == "fail" else None,
    )

    resources = AsyncExitStack()

    async def open_channels() -> None:
        """Raises Misconfigured if a template or a certificate is missing or broken."""
        for name in settings.names:
            if name == "smtp":
                letters = Letters(settings.templates, settings.language, ZoneInfo(settings.timezone))
                smtp = SmtpChannel(settings.server, settings.sender, letters)
                resources.push_async_callback(smtp.close)
                messenger.add(smtp)
            else:
                messenger.add(LogChannel(settings.lines))

    return Service(
        name="notification",
        deciders=(notification,),
        schemas=("schemas",),
        port=8003,
        transactions_share=0.025,  # nobody waits for its events
        input_wait=0.5,  # a letter may
        on_start=open_channels,
        on_stop=resources.aclose,
    )


def patient(settings: Settings, names: tuple[str, ...]) -> Settings:
    """The settings of the library, with patience for mail where nothing else is set."""
    if "smtp" not in names:
        return settings
    return settings.model_copy(
        update={name: value for name, value in PATIENCE.items() if name not in settings.model_fields_set}
    )


if __name__ == "__main__":
    chosen = NotificationSettings()
    serve(service(chosen), patient(Settings(), chosen.names))
