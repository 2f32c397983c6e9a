"""Questions for the causes of a key, answered on threads of their own, few at a time."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore

from eventbus.causes import Question, Why, why
from eventbus.causes.search import Budget
from eventbus.codec import Codec
from eventbus.model.errors import Unavailable
from eventbus.settings import Settings


class Inquiries:
    """At most ``why_at_once`` questions at a time: each takes processor time and memory from everything else here."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._threads = ThreadPoolExecutor(settings.why_at_once, thread_name_prefix="why")
        self._free = BoundedSemaphore(settings.why_at_once)

    async def ask(self, question: Question, codec: Codec) -> Why:
        """The answer. Raises Unavailable if too many are under way, or if Kafka does not answer.

        A caller that goes away ends nothing: its question is under way until it is answered.
        """
        if not self._free.acquire(blocking=False):
            raise Unavailable(
                f"this replica reads the topics for {self._settings.why_at_once} such questions at a time: ask again"
            )
        try:
            answer = self._threads.submit(self._answer, question, codec)
        except BaseException:
            self._free.release()
            raise
        return await asyncio.wrap_future(answer)

    def _answer(self, question: Question, codec: Codec) -> Why:
        settings = self._settings
        try:
            return why(settings, codec, question, settings.why_timeout, Budget(settings.why_records))
        finally:
            self._free.release()
