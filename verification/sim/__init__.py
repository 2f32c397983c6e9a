"""The seeded simulator: all four services in one process, over a Kafka in memory. ``make sim``.

The deciders, the Processor with its six steps, takeovers, followers, parking, breaker and agenda are the real ones;
so are the idempotent gateway and the messenger. In memory are the brokers (``broker``, ``groups``, ``clients``), the
store and the bodies of messages (``memory``), the gateway, the channel and the way there (``outside``), and time
(``clock``).
A ``story`` is drawn from the seed, a ``world`` lives it, the ``oracle`` judges what is left. One seed always gives
the same trace.
"""
