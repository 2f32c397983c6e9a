"""Hostile records: one catalogue of what anybody may write to a topic, for tests, chaos and the fuzz.

``catalogue`` makes the records, ``writing`` puts them into Kafka (``wire`` those that no client library writes), and
``fates`` tells what became of each. None of them may stop a service, nor make the audit find fault with a real order.
"""
