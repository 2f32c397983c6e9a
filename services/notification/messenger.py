"""The reactor's call: gives an event to each of the channels, and says what they answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from eventbus import Outcome, Poison, Request, Retryable
from services.notification.channel import Channel, Notice
from services.notification.request import Answer, Answered, Delayed, Notify, Refused, Sent, Skipped


class Messenger:
    """Answers a Notify. The channels are asked at the same time, so a slow one delays no other."""

    def __init__(self, *channels: Channel) -> None:
        self._channels = {channel.name: channel for channel in channels}

    def add(self, channel: Channel) -> None:
        """One channel more, or another of the same name."""
        self._channels[channel.name] = channel

    async def call(self, request: Request) -> Outcome:
        """Raises Delayed if a channel may deliver later; it holds the answers of the others."""
        if not isinstance(request, Notify):
            raise TypeError(f"notification makes no such request: {request!r}")
        channels = [self._channels[name] for name in request.channels]
        found: Sequence[Answer | Retryable]
        if len(channels) == 1:
            found = [await _ask(channels[0], request)]
        else:
            found = await asyncio.gather(*(_ask(channel, request) for channel in channels))
        answers = tuple(answer for answer in found if not isinstance(answer, Retryable))
        errors = [answer for answer in found if isinstance(answer, Retryable)]
        if errors:
            raise Delayed("; ".join(str(error) for error in errors), answers) from errors[0]
        return Answered(request, answers)


async def _ask(channel: Channel, request: Notify) -> Answer | Retryable:
    """The final answer of one channel, or why it may deliver later."""
    if channel.needs_contact and request.recipient is None:
        return Skipped(channel.name, request.unreachable)
    notice = Notice(request.message_id, request.event, request.recipient, request.language)
    try:
        await channel.send(notice)
    except Poison as error:
        return Refused(channel.name, str(error))
    except Retryable as error:
        return error
    return Sent(channel.name)
