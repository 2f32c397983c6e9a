"""Starting the whole system on one machine: ``python -m tools.stack up``.

Two ways, one set of verbs: Docker Compose where an engine answers, otherwise the same Apache Kafka and the
same services as local processes under supervisord. ``tools.stack.kafka.LocalKafka`` is a broker for tests.
"""
