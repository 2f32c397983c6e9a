"""Chaos: a bounded run of the whole system on three brokers, hurt by a seeded schedule, and audited. ``make chaos``.

``schedule`` says what is hurt when, ``processes`` keeps children alive, ``site`` is the system, ``shopping`` its
customers, ``faults`` carries the schedule out, ``report`` tells what came of it.
"""
