"""What a process tells Prometheus about itself."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

DECIDED = Counter("eventbus_messages_decided", "Input messages decided", ["service"])
DEAD = Counter("eventbus_dead_letters", "Messages that went to the dead letter queue", ["service"])
FOREIGN = Counter(
    "eventbus_foreign_records", "Records in an own log that its leader cannot have written", ["log"]
)
LEFT_OUT = Counter(
    "eventbus_headers_left_out", "Headers of inputs that were too long to be copied on", ["service", "header"]
)
REFUSED = Counter("eventbus_outputs_refused", "Inputs whose outputs Kafka refused as too large", ["service"])
STOPPED = Gauge(
    "eventbus_tasks_stopped",
    "Tasks that a record of an own log stops until a person decides about it",
    ["service"],
)
SKIPPED = Counter("eventbus_records_skipped", "Records that were set aside by `eventbus skip`", ["topic"])
ABORTED = Counter(
    "eventbus_transactions_aborted", "Transactions that were aborted and begun again", ["service"]
)
COMMIT = Histogram(
    "eventbus_commit_seconds",
    "Step 5: from begin to committed",
    ["service"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
LEADING = Gauge("eventbus_tasks_led", "Tasks (partitions) this replica leads", ["service"])
IN_FLIGHT = Gauge("eventbus_calls_in_flight", "Calls to the outside under way", ["service"])
LAG = Gauge(
    "eventbus_lag", "Records of an input partition led that are not decided yet", ["topic", "partition"]
)
HEARD = Gauge("eventbus_brokers_silent_seconds", "Seconds since the brokers were last heard", ["service"])
BREAKER = Gauge(
    "eventbus_breaker_open", "1 while little input is taken because calls fail alike", ["service"]
)
HTTP_REFUSED = Counter("eventbus_http_refused", "Connections and requests refused by a limit", ["reason"])
HTTP_CONNECTIONS = Gauge("eventbus_http_connections", "HTTP connections open")
