"""A thread that does batch work lets others go first."""

from __future__ import annotations

import logging
import os

log = logging.getLogger("eventbus.runtime")


def as_batch_work() -> None:
    """Have this thread, and all that it starts, interrupt no other thread of the machine when it wakes up.

    It waits until a processor is free, or until the scheduler gives it its turn. A service is woken for each record
    that comes, and there are as many services as processors, or more: each woken at once, they take the processor
    from each other for a fraction of a millisecond at a time, with cold caches. Where a system does not know this
    (Linux only), or refuses it, all stays as it is. Source: sched(7), SCHED_BATCH.
    """
    if not hasattr(os, "SCHED_BATCH"):
        return
    try:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    except OSError as error:
        log.info("the system refuses batch scheduling, which costs some processor time: %s", error)
