"""Settings of every process that uses eventbus, read from ``EVENTBUS_*`` environment variables."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from eventbus.model.limits import HttpLimits, Limits, room_for
from eventbus.retry.policy import RetryPolicy


class Settings(BaseSettings):
    """Times are in seconds, sizes in bytes, unless a name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="EVENTBUS_", extra="ignore")

    bootstrap_servers: str = "127.0.0.1:9092"
    """Addresses of brokers, ``host:port``, with commas between."""
    topic_prefix: str = ""
    """Put before every topic, group and transactional id, so that several environments share a cluster."""
    partitions: int = Field(default=3, ge=1, le=1000)
    """Partitions of each topic that is created where none exists yet; a running service asks the cluster."""
    replication_factor: int = Field(default=1, ge=1)
    """Replicas of each topic when topics are created; 3 on a cluster."""

    state_dir: Path = Path(".run/state")
    """Where state is kept: it holds a directory for each slot."""
    slot: int | None = Field(default=None, ge=0)
    """The replica's slot; without one, the first free slot of ``state_dir`` is locked."""

    v1_topics: bool = False
    """Also write events that have a version 1 in that version, to ``<log>.v1``, for readers that know no other."""

    http_host: str = "127.0.0.1"
    """The address where HTTP listens."""
    http_port: int | None = None
    """The port where HTTP listens; the service's own if unset."""
    max_body: int = Field(default=1_048_576, ge=0)
    """Bytes of a request's body; more is answered 413."""
    http_allowed_hosts: str = ""
    """Host names, separated by commas, that the service answers to beside those of the loopback; ``*`` is any."""
    http_max_connections: int = Field(default=4_096, ge=1)
    """HTTP connections at once; fewer where there are not descriptors enough."""
    http_max_header: int = Field(default=32_768, ge=1_024)
    """Bytes of a request's headers; more is answered 431."""
    http_header_timeout: float = Field(default=10.0, gt=0)
    """How long the headers of a request may take to be complete."""
    http_body_rate: int = Field(default=100, ge=0)
    """Bytes a second that a body must bring, over any ten seconds."""
    http_keep_alive: float = Field(default=60.0, gt=0)
    """How long a connection may be idle between two requests."""
    http_heartbeat: float = Field(default=15.0, gt=0)
    """A stream without events sends a comment after this long, so that nobody between takes it for dead."""
    http_stream_time: float = Field(default=900.0, gt=0)
    """A stream ends after this long at most. Its client comes back with its credentials, to whichever replica."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least important level that is logged: DEBUG, INFO, WARNING or ERROR."""

    max_batch: int = Field(default=1_000, ge=1)
    """Messages a transaction takes in at most."""
    max_batch_bytes: int = Field(default=1_000_000, ge=1)
    """Bytes of messages above which a transaction takes in no more."""
    transactions_share: float | None = Field(default=None, gt=0, le=1)
    """Of the time, what transactions take at most: under load a rest follows them. With less, batches are larger,
    which costs less and takes longer; 1: no rest. Unset: as the service says, which is 0.5 if it says nothing."""
    max_in_flight: int = Field(default=256, ge=1)
    """Calls to the outside that a reactor has under way at most."""
    max_waiting: int = Field(default=2_000, ge=1)
    """Unfinished inputs of reactors above which no more input is taken."""
    call_timeout: float = 10.0
    """How long one try of a call to the outside may take."""
    retry_attempts: int = Field(default=3, ge=1)
    """Tries of a message, the first included, before it becomes a dead letter."""
    retry_backoff: float = 1.0
    """Wait before the second try; it doubles with each further one, with jitter."""
    retry_longest: float = 60.0
    """The longest wait between two tries."""
    breaker_threshold: int = Field(default=5, ge=2)
    """Different keys that fail one after another before input is paused."""

    send_timeout: float = 4.0
    """How long a command may take to become durable. After that the sender gets an error."""
    read_timeout: float = 2.0
    """How long a read waits for this replica to catch up with what was written before it."""
    session_timeout: float = 10.0
    """Reads are refused after this long without a word from the brokers."""
    transaction_timeout: float = 5.0
    """After this long a broker ends the transaction of a replica that vanished."""
    watchdog: float = 30.0
    """The process ends when its loop has not turned for this long; its supervisor starts a fresh one."""
    max_event_bytes: int = 4_000_000
    """Key, headers and value of an event. What would write a larger one is a dead letter; topics take 5 MB."""
    max_command_bytes: int = 1_900_000
    """Key, headers and value of a command or an answer to another service; their topics take 2 MB."""
    max_input_bytes: int = 5_000_000
    """An input that is larger, uncompressed, is a dead letter, unless it is an event that nobody here takes. More
    could not wait in the retry topic."""

    why_at_once: int = Field(default=2, ge=1)
    """Questions for the causes of a key that a replica answers at a time; it refuses further ones."""
    why_timeout: float = Field(default=5.0, gt=0)
    """How long it reads the topics for one of them. Then it answers with what was found, and says so."""
    why_records: int = Field(default=200_000, ge=1)
    """Records that it reads for one of them at most."""
    why_brokers: str = ""
    """Addresses of brokers for the kcat lines in the answer, where readers reach them by others than the service."""

    old_headers: bool = True
    """Write ``correlationid``, ``cause`` and ``keyversion`` beside ``ce_correlationid``, ``ce_cause`` and
    ``ce_keyversion``. Turn it off once no process reads the old names only, and none may be rolled back to that."""

    write_as: str = ""
    """Versions in which messages are written, separated by commas, such as ``OrderCreated.v2``: as long as processes
    of older code run that cannot read the latest. They go before ``written.json``."""

    def versions_written(self) -> list[str]:
        """The versions of :attr:`write_as`."""
        return [version.strip() for version in self.write_as.split(",") if version.strip()]

    def limits(self) -> Limits:
        """How large records may be."""
        return Limits(self.max_event_bytes, self.max_command_bytes, self.max_input_bytes)

    def http_limits(self, descriptors: int) -> HttpLimits:
        """What a connection may take, in a process that may have so many descriptors."""
        return HttpLimits(
            max_connections=room_for(self.http_max_connections, descriptors),
            max_header=self.http_max_header,
            header_timeout=self.http_header_timeout,
            body_rate=self.http_body_rate,
            keep_alive=self.http_keep_alive,
            heartbeat=self.http_heartbeat,
            stream_time=self.http_stream_time,
        )

    def allowed_hosts(self) -> list[str]:
        """The names of :attr:`http_allowed_hosts`."""
        return [name.strip() for name in self.http_allowed_hosts.split(",") if name.strip()]

    def retry_policy(self) -> RetryPolicy:
        """How often, and after which waits, a message is tried."""
        return RetryPolicy(self.retry_attempts, self.retry_backoff, self.retry_longest)

    def topic(self, name: str) -> str:
        """The topic's name on the cluster."""
        return self.topic_prefix + name


class AccessSettings(BaseSettings):
    """Who may use the HTTP interface. Without API keys and without an issuer access control is off: everybody who
    reaches the service may do everything."""

    model_config = SettingsConfigDict(env_prefix="EVENTBUS_", extra="ignore")

    api_keys_file: Path | None = None
    """A file of API keys, one JSON object a line; `make key` adds one. It may change while the service runs."""
    oidc_issuer: str = ""
    """The issuer of access tokens (RFC 9068): what they have as `iss`."""
    oidc_audience: str = ""
    """What access tokens must have as `aud`."""
    oidc_jwks: str = ""
    """The public keys of the issuer (a JSON Web Key Set): an https URL, or a file."""
    oidc_algorithms: str = "RS256,PS256,ES256,EdDSA,Ed25519"
    """The algorithms, with commas between, that tokens may be signed with."""
    oidc_user_claim: str = "sub"
    """The claim that names the customer (`userId`) whom a token acts for. Tokens that the issuer gave to a client
    itself (`sub` is `client_id`), and tokens with the scope `admin`, act for no customer."""
    http_rate: float = Field(default=0.0, ge=0)
    """Requests a second that one caller may send to this replica, on the average; 0 is no limit."""
    http_burst: int = Field(default=100, ge=1)
    """Requests that a caller may send at once, if there is a limit."""
    http_cors_origins: str = ""
    """Origins, with commas between, whose pages may use this service from a browser, such as
    `https://shop.example.org`; `*` is any. None if empty."""

    def cors_origins(self) -> list[str]:
        """The origins of :attr:`http_cors_origins`."""
        return [origin.strip() for origin in self.http_cors_origins.split(",") if origin.strip()]


class RegistrySettings(BaseSettings):
    """A schema registry with the REST API of Confluent's. None is needed: without it the pinned ids serve."""

    model_config = SettingsConfigDict(env_prefix="SCHEMA_REGISTRY_", extra="ignore")

    url: str = ""
    """Its address, with the path before ``/subjects``; empty for none. All processes of a cluster use the same."""
    basic_auth_user_info: SecretStr = SecretStr("")
    """``user:password``, if it asks for them. It is shown nowhere."""
    ssl_ca_location: Path | None = None
    """A PEM file with the certificates to trust; those of the system if unset."""
    ssl_certificate_location: Path | None = None
    """A PEM file with the certificate of this process, if the registry asks for one."""
    ssl_key_location: Path | None = None
    """A PEM file with its private key, if that is not in the same file."""
    auto_register: bool = True
    """Register at the start what the registry lacks. If off, ``make schema-register`` must have done so."""
    timeout: float = Field(default=5.0, gt=0)
    """How long one request may take at the start, in seconds. While records are read, one takes 1 s at most."""
