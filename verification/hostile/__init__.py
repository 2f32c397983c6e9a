"""Hostile records: one catalogue of what anybody may write to a topic, for tests, chaos and the fuzz.

``catalogue`` makes the records, ``writing`` puts them into Kafka (``wire`` those that no client library writes), and
``consequences`` finds what each led to. None of them may stop a service, or make the audit report a real order.
"""
