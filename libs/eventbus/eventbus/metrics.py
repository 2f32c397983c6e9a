"""What a process tells Prometheus about itself."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

DECIDED = Counter("eventbus_messages_decided", "Input messages decided", ["service"])
DEAD = Counter("eventbus_dead_letters", "Messages that went to the dead letter queue", ["service"])
FOREIGN = Counter(
    "eventbus_foreign_records",
    "Records of an own log that its leader cannot have written; they are passed over",
    ["log"],
)
LEFT_OUT = Counter(
    "eventbus_headers_left_out",
    "Headers of inputs that were longer than 200 characters and not copied on",
    ["service", "header"],
)
REFUSED = Counter(
    "eventbus_outputs_refused",
    "Inputs whose outputs Kafka refused as too large; they become dead letters",
    ["service"],
)
UNREPRESENTABLE = Counter(
    "eventbus_unrepresentable",
    "Own events that the older version of a mirror cannot represent; they are not in the mirror",
    ["service", "message", "version"],
)
STOPPED = Gauge(
    "eventbus_tasks_stopped",
    "Tasks that a record of an own log stops until a person decides about it",
    ["service"],
)
SKIPPED = Counter(
    "eventbus_records_skipped", "Records that were set aside by `eventbus skip` and met here", ["topic"]
)
ABORTED = Counter(
    "eventbus_transactions_aborted", "Transactions that were aborted; their input is read again", ["service"]
)
COMMIT = Histogram(
    "eventbus_commit_seconds",
    "Seconds that transactions take, from begin to committed (step 5)",
    ["service"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
LEADING = Gauge(
    "eventbus_tasks_led",
    "Tasks (partitions) this replica leads; those of all replicas add up to the partition count",
    ["service"],
)
IN_FLIGHT = Gauge("eventbus_calls_in_flight", "Calls to the outside under way", ["service"])
LAG = Gauge(
    "eventbus_lag", "Records of an input partition led that are not decided yet", ["topic", "partition"]
)
HEARD = Gauge("eventbus_brokers_silent_seconds", "Seconds since the brokers were last heard", ["service"])
BREAKER = Gauge(
    "eventbus_breaker_open",
    "1 while calls fail for many keys alike: little input is taken, a few messages a second probe",
    ["service"],
)
HTTP_REFUSED = Counter("eventbus_http_refused", "Connections and requests refused by a limit", ["reason"])
HTTP_CONNECTIONS = Gauge("eventbus_http_connections", "HTTP connections open")
ACCESS_BROKEN = Gauge(
    "eventbus_access_source_broken",
    "1 while API keys or the keys of the issuer cannot be read anew: what was read before is in force",
    ["setting"],
)
HTTP_STREAMS = Gauge("eventbus_http_streams", "Streams of events open")
