"""A payment gateway to run against: one process, and a durable record of every attempt that anybody can read.

It shares no code with the payment service, and knows nothing of Kafka.
"""
