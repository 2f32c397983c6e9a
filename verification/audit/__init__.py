"""The audit: are money and stock where the events say, and did every order take a legal way? ``make audit``.

It asks no service. It reads the topics up to one cut of offsets and holds them against the gateway's own record:

    charged − refunded = value of orders confirmed or completed (and agrees with the gateway's own record)
    initial + adjusted − available = held + shipped, per product; available never negative
    every accepted order: one OrderCreated, at most one settling event of each kind, legal transitions only

``reading`` gets records from Kafka, ``ledger`` folds them, ``orders`` knows which transitions are legal, ``judge``
gives the verdict, ``report`` puts it in words. Only ``reading`` and ``gateway`` do I/O.
"""
