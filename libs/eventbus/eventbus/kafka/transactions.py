"""Transactional calls: repeated while that helps, and what it means when one fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import KafkaException

from eventbus.model.errors import Fenced

T = TypeVar("T")
log = logging.getLogger("eventbus.kafka")

PATIENCE = 20.0
"""Seconds for which a transactional call is repeated before a fresh process is to try."""

ONE_TRY = 3.0
"""Seconds one try of a transactional call may take."""


class Superseded(Fenced):
    """The producer's epoch is over: another has its id, or its transaction lasted too long and was ended for it."""


class Aborted(Exception):
    """The transaction cannot commit: abort it, forget what was decided, read the input again."""


def transactionally(call: Callable[..., T], *args: Any) -> T:
    """One transactional call, repeated while it may be. Raises Aborted or Fenced: there is no fourth way.

    A call that may be repeated for longer than ``PATIENCE`` ends the process too.
    """
    began = time.monotonic()
    while True:
        try:
            return call(*args)
        except KafkaException as exception:
            error = exception.args[0]
            if error.retriable():
                if time.monotonic() - began > PATIENCE:
                    raise Fenced(
                        f"the producer gets no further for {PATIENCE:g} s: {error.str()}"
                    ) from exception
                log.warning("%s: %s, again", getattr(call, "__name__", call), error.str())
                continue
            if error.txn_requires_abort():
                raise Aborted(error.str()) from exception
            reason = Superseded if error.fatal() else Fenced
            raise reason(f"the producer may not go on: {error.str()}") from exception
