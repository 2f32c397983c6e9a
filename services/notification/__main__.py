"""The notification service: ``python -m services.notification``. Only this file reads the environment."""

from __future__ import annotations

from eventbus import Service, Settings, serve
from services.notification.channel import LogChannel
from services.notification.decider import notification_reactor
from services.notification.messenger import Messenger
from services.notification.settings import NotificationSettings


def service(settings: NotificationSettings | None = None) -> Service:
    """What notification is made of. Opens no file."""
    settings = settings or NotificationSettings()
    channel = LogChannel(settings.lines)
    notification = notification_reactor(Messenger(channel).call)
    return Service(
        name="notification",
        deciders=(notification,),
        schemas=("schemas",),
        port=8003,
        transactions_share=0.1,  # nobody waits for its events
    )


if __name__ == "__main__":
    serve(service(), Settings())
