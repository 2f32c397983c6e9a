"""Chaos: a bounded run of the whole system on three brokers, with seeded faults, and an audit. ``make chaos``.

``cluster`` starts the brokers and services, ``processes`` keeps the services alive, ``order_load`` sends orders,
``schedule`` draws the faults, ``faults`` carries them out, ``hostile_bursts`` writes hostile records,
``rolling_upgrade`` has every replica go on with the next release, ``order_ends`` counts how each order ended, and
``report`` prints the result.
"""
