"""The seeded simulator: all four services in one process, over a Kafka in memory. ``make sim``.

The deciders, the Processor with its six steps, takeovers, followers, retry queues, breaker and due queue are the real
ones. So are payment's idempotent gateway and notification's messenger. Kept in memory are the brokers (``broker``,
``groups``), their clients (``consumers``, ``producer``, ``clients``), the store and the bodies of messages
(``memory``), the gateway, the channel and the network between (``outside``), and time (``clock``).

``drawing`` draws a ``plan`` from the seed, ``simulation`` carries it out, and the ``oracle`` checks the result. One
seed always gives the same trace.
"""
