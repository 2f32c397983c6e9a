"""``python -m services.notification``: reads the environment, opens the channel, serves until SIGTERM."""

from __future__ import annotations

from dataclasses import replace

from eventbus import Service, Settings, serve
from services.notification.channel import LogChannel, Messenger
from services.notification.decider import reactor
from services.notification.settings import NotificationSettings


def main() -> None:
    """Run one replica of notification."""
    channel = LogChannel(NotificationSettings().lines)
    notification = replace(reactor, call=Messenger(channel).call)
    serve(Service("notification", (notification,), ("schemas",), port=8003), Settings())


if __name__ == "__main__":
    main()
