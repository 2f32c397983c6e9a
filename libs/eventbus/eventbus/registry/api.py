"""The calls to a schema registry that are made here, over its REST API.

Source: Confluent "Schema Registry API Reference" (v7.8); Apicurio's ``/apis/ccompat/v7`` and Karapace speak it too.
"""

from __future__ import annotations

import base64
import json
import ssl
from typing import Any
from urllib.parse import quote

from eventbus.http_client import HttpAnswer, HttpClient
from eventbus.model.errors import Misconfigured, Poison, Retryable
from eventbus.settings import RegistrySettings

HIGHEST = 2**31 - 1
"""Ids are positive Java ints."""
MOST_VERSIONS = 100
"""Of a subject so many are looked at, the latest."""
INCOMPATIBLE = ". Its rule for the subject is another than ours, which make check holds: set it to NONE there"
NOT_FOUND = (40401, 40402, 40403)
"""The errors of a registry that holds no such subject, version or schema."""
_HEADERS = {
    "Accept": "application/vnd.schemaregistry.v1+json",
    "Content-Type": "application/vnd.schemaregistry.v1+json",
}
_READ_HERE = (404, 405, 409, 422, 501)
_SHOWN = 300


class RegistryApi:
    """A registry. Its methods raise Retryable if it does not answer, or answers what is no answer of a registry.

    They raise Misconfigured if it refuses: the credentials, or what is asked. Schemas are texts, ids positive ints.
    """

    def __init__(self, settings: RegistrySettings) -> None:
        """Opens no connection. Raises Misconfigured for a URL that is none, and for files that cannot be read."""
        self.url = settings.url.rstrip("/")
        info = settings.basic_auth_user_info.get_secret_value()
        encoded = base64.b64encode(info.encode()).decode()
        self._secrets = [secret for secret in (info, encoded, info.partition(":")[2]) if secret]
        if "@" in settings.url:
            raise Misconfigured(
                "SCHEMA_REGISTRY_URL must not hold user and password: put them into "
                "SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO, as user:password"
            )
        try:
            self._client = HttpClient(
                settings.url,
                timeout=settings.timeout,
                authorization=f"Basic {encoded}" if info else None,
                tls=_tls(settings),
            )
        except ValueError as error:
            raise Misconfigured(f"SCHEMA_REGISTRY_URL is {settings.url!r}: {error}") from None

    async def schema(self, schema_id: int) -> str | None:
        """The Avro schema under an id; None if there is none. One of another kind is an empty text."""
        what = f"the schema of id {schema_id}"
        answer = await self._ask("GET", f"/schemas/ids/{schema_id}", what)
        if answer is None:
            return None
        return "" if answer.get("schemaType", "AVRO") != "AVRO" else self._text(answer, what)

    async def registered(self, subject: str) -> list[tuple[int, str]]:
        """The versions of a subject, each as its id and schema, the oldest first."""
        path, what = f"/subjects/{quote(subject, safe='')}/versions", f"the versions of {subject}"
        found = []
        numbers = await self._ask("GET", path, what, kind=list) or []
        for number in [number for number in numbers if type(number) is int][-MOST_VERSIONS:]:
            what = f"version {number} of {subject}"
            answer = await self._ask("GET", f"{path}/{number}", what)
            if answer is not None and answer.get("schemaType", "AVRO") == "AVRO":
                found.append((self._id(answer, what), self._text(answer, what)))
        return found

    async def register(self, subject: str, schema: str, schema_id: int | None = None) -> int:
        """Add a version to a subject; the id it has now. ``schema_id``: under that id, if it lets one choose."""
        body = {"schema": schema} | ({} if schema_id is None else {"id": schema_id})
        path, what = f"/subjects/{quote(subject, safe='')}/versions", f"registering a version of {subject}"
        answer = await self._ask("POST", path, what, body)
        if answer is None:
            raise Misconfigured(f"{self.url} has no {path}: is it the URL of a schema registry?")
        return self._id(answer, what)

    async def set_mode(self, subject: str, mode: str | None) -> None:
        """Put a subject into a mode, ``IMPORT`` among them; None puts it back into that of the registry."""
        path, what = f"/mode/{quote(subject, safe='')}", f"the mode of {subject}"
        if mode is None:
            await self._ask("DELETE", path, what)
        else:
            # Without force, Confluent's takes a subject that has versions into no IMPORT mode.
            await self._ask("PUT", f"{path}?force=true", what, {"mode": mode})

    async def close(self) -> None:
        await self._client.close()

    async def _ask(
        self, method: str, path: str, what: str, body: Any = None, kind: type[Any] = dict
    ) -> Any | None:
        """What is answered, as JSON; None if the registry holds no such thing."""
        try:
            answer = await self._client.request(
                method, path, json=body, headers=_HEADERS, expected=_READ_HERE
            )
        except Poison as error:
            raise Misconfigured(self._hidden(f"{what}: {error}")) from None
        except Retryable as error:
            raise Retryable(self._hidden(f"{what}: {error}")) from None
        try:
            content = json.loads(answer.body)
        except (ValueError, RecursionError):
            content = None
        if answer.status >= 400:
            if isinstance(content, dict) and content.get("error_code") in NOT_FOUND:
                return None
            hint = INCOMPATIBLE if answer.status == 409 else ""
            raise Misconfigured(self._said(what, method, path, answer) + hint)
        if not isinstance(content, kind):
            raise Retryable(f"{self._said(what, method, path, answer)}, which no schema registry answers")
        return content

    def _said(self, what: str, method: str, path: str, answer: HttpAnswer) -> str:
        text = self._hidden(answer.text)[:_SHOWN]
        return self._hidden(f"{what}: {method} {self.url}{path} was answered {answer.status}: {text!r}")

    def _hidden(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _id(self, answer: dict[str, Any], what: str) -> int:
        schema_id = answer.get("id")
        if type(schema_id) is not int or not 0 < schema_id <= HIGHEST:
            raise Retryable(f"{what}: {self.url} gives {schema_id!r:.100} where an id is expected")
        return schema_id

    def _text(self, answer: dict[str, Any], what: str) -> str:
        text = answer.get("schema")
        if not isinstance(text, str):
            raise Retryable(f"{what}: {self.url} gives {text!r:.100} where a schema is expected")
        return text


def _tls(settings: RegistrySettings) -> ssl.SSLContext | None:
    """Whom to trust, and with which certificate to be trusted; None: as the system says. Raises Misconfigured."""
    if not (settings.ssl_ca_location or settings.ssl_certificate_location):
        return None
    files = (settings.ssl_ca_location, settings.ssl_certificate_location, settings.ssl_key_location)
    try:
        context = ssl.create_default_context(cafile=files[0])
        if files[1]:
            # Without a password, an encrypted key would ask for one at a terminal.
            context.load_cert_chain(files[1], files[2], password="")
    except (OSError, ValueError) as error:
        named = ", ".join(str(file) for file in files if file)
        raise Misconfigured(
            f"SCHEMA_REGISTRY_SSL_*: one of {named} cannot be used ({error}): give PEM files, the key not encrypted"
        ) from None
    return context
