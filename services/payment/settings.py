"""What can be set for payment, from environment variables that start with ``PAYMENT_``."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def _bare_url(url: str) -> str:
    """An http(s) URL that holds no secret, since it stands in errors. Its own error does not show it."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError(
            "must not hold user and password: set PAYMENT_GATEWAY_USER and PAYMENT_GATEWAY_PASSWORD, "
            "or PAYMENT_GATEWAY_TOKEN, and take them out of the URL"
        )
    if parts.query or parts.fragment:
        raise ValueError("must not have a query or a fragment: the call's path is appended to it")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a URL such as https://gateway.example.org/v1")
    return url


class PaymentSettings(BaseSettings):
    """Where the gateway is and how long it may take. Times in seconds."""

    model_config = SettingsConfigDict(env_prefix="PAYMENT_", frozen=True, hide_input_in_errors=True)

    gateway_url: Annotated[str, AfterValidator(_bare_url)] = Field(
        default="http://127.0.0.1:8090",
        description="of the gateway; one with user, password or query is refused, since it stands in errors",
    )
    gateway_user: str | None = Field(
        default=None, description="for HTTP Basic authentication, with a password"
    )
    gateway_password: SecretStr | None = Field(default=None, description="of that user; never printed")
    gateway_token: SecretStr | None = Field(
        default=None, description="instead of them: a bearer token; never printed"
    )
    gateway_timeout: float = Field(default=2.0, gt=0, description="for one HTTP call, all of it")
    on_exhausted: Literal["park", "fail"] = Field(
        default="park", description="after the last try of a charge: wait for a person, or fail the payment"
    )
    gateway_connections: int = Field(default=256, gt=0, description="calls in flight at once")

    @model_validator(mode="after")
    def _one_way_to_authenticate(self) -> Self:
        if (self.gateway_user is None) != (self.gateway_password is None):
            raise ValueError(
                "PAYMENT_GATEWAY_USER and PAYMENT_GATEWAY_PASSWORD go together: set both, or none"
            )
        if self.gateway_user is not None and self.gateway_token is not None:
            raise ValueError("set PAYMENT_GATEWAY_USER with its password, or PAYMENT_GATEWAY_TOKEN, not both")
        if self.gateway_user is not None and ":" in self.gateway_user:
            raise ValueError(
                "PAYMENT_GATEWAY_USER must not have a colon: the password begins after the first one"
            )
        token = self.gateway_token.get_secret_value() if self.gateway_token else "none"
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise ValueError("PAYMENT_GATEWAY_TOKEN must be visible ASCII characters: is there a line break?")
        return self

    @property
    def authorization(self) -> str | None:
        """The header for the gateway (RFC 7617, RFC 6750). A secret: never to be printed."""
        if self.gateway_token is not None:
            return f"Bearer {self.gateway_token.get_secret_value()}"
        if self.gateway_user is None or self.gateway_password is None:
            return None
        pair = f"{self.gateway_user}:{self.gateway_password.get_secret_value()}"
        return f"Basic {b64encode(pair.encode()).decode()}"
