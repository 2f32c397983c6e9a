"""A token is taken only if the issuer signed it, for this audience, for now. Everything else is refused."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, KeySet, RSAKey

from eventbus.access import Caller, Scope
from eventbus.access.api_keys import BrokenFile
from eventbus.access.caller import NotAuthenticated
from eventbus.access.issuer_keys import parse_key_set
from eventbus.access.tokens import ALGORITHMS, TokenVerifier, Trusted
from testbed.issuer import AUDIENCE, ISSUER, Issuer, sign

ISSUED_BY = Issuer()
ANOTHER = Issuer()
TRUSTED = Trusted(ISSUER, AUDIENCE, ("RS256", "PS256", "ES256", "EdDSA"), "sub")


class Known:
    """The keys of the issuer, as they stand."""

    def __init__(self, content: bytes) -> None:
        self.generation, self._keys = 0, parse_key_set(content)

    def become(self, content: bytes) -> None:
        self.generation, self._keys = self.generation + 1, parse_key_set(content)

    async def keys(self) -> KeySet:
        return self._keys

    async def refresh(self) -> bool:
        return False

    async def watch(self) -> None:
        raise NotImplementedError


def verifier(trusted: Trusted = TRUSTED, clock: Any = time.time) -> TokenVerifier:
    return TokenVerifier(trusted, Known(ISSUED_BY.public()), clock)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_token_of_the_issuer_names_its_caller(algorithm: str) -> None:
    caller = await verifier().caller(ISSUED_BY.token(algorithm))
    assert caller == Caller(f"{ISSUER}#u1", "app_user", frozenset({Scope.PLACE, Scope.READ}), "u1")


async def test_a_token_of_a_client_itself_acts_for_no_customer() -> None:
    caller = await verifier().caller(ISSUED_BY.token(sub="app"))
    assert (caller.kind, caller.user_id) == ("service_account", None)


async def test_an_operator_acts_for_no_customer() -> None:
    caller = await verifier().caller(ISSUED_BY.token(scope="read admin"))
    assert (caller.kind, caller.user_id) == ("app_user", None)


async def test_another_claim_may_name_the_customer() -> None:
    customers = verifier(Trusted(ISSUER, AUDIENCE, ("RS256",), "customer"))
    assert (await customers.caller(ISSUED_BY.token(customer="c7"))).user_id == "c7"
    for wrong in (None, "", " ", 7, ["c7"], {"id": "c7"}, True, "c7\n", "c" * 101):
        with pytest.raises(NotAuthenticated, match="names no customer"):
            await customers.caller(ISSUED_BY.token(customer=wrong))


async def test_ids_of_callers_differ_whenever_their_subjects_do() -> None:
    subjects = ["u1", "u 1", "u%201", "u#1", "U1", "ü1", "u/1"]
    ids = {(await verifier().caller(ISSUED_BY.token(sub=subject))).id for subject in subjects}
    assert len(ids) == len(subjects)
    assert not any(" " in one for one in ids)


@pytest.mark.parametrize(
    ("scope", "granted"),
    [
        ("place", {Scope.PLACE}),
        ("openid place unknown", {Scope.PLACE}),
        ("", set()),
        (None, set()),
        ("PLACE", set()),
        ("places replace", set()),
        ("place\tread", set()),
        ("place,read", set()),
    ],
)
async def test_scopes_are_words_of_the_claim(scope: str | None, granted: set[Scope]) -> None:
    assert (await verifier().caller(ISSUED_BY.token(scope=scope))).scopes == granted


NOW = int(time.time())
CLAIMS: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.example.org"},
    "an issuer with a slash more": {"iss": ISSUER + "/"},
    "a list of issuers": {"iss": [ISSUER]},
    "no issuer": {"iss": None},
    "another audience": {"aud": "billing"},
    "a list without this audience": {"aud": ["billing", "orders2"]},
    "an audience that contains it": {"aud": "orders-test"},
    "an audience as an object": {"aud": {"orders": 1}},
    "no audience": {"aud": None},
    "expired": {"exp": NOW - 3600},
    "no end": {"exp": None},
    "an end that is a text": {"exp": str(NOW + 3600)},
    "an end that is true": {"exp": True},
    "an end without end": {"exp": float("inf")},
    "an end that is no number": {"exp": float("nan")},
    "an end that is a list": {"exp": [NOW + 3600]},
    "not valid yet": {"nbf": NOW + 3600},
    "a beginning that is a text": {"nbf": "0"},
    "issued in the future": {"iat": NOW + 3600},
    "no time of issue": {"iat": None},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "a subject that is a number": {"sub": 7},
    "a subject that is a list": {"sub": ["u1"]},
    "a subject that is very long": {"sub": "u" * 256},
    "no client": {"client_id": None},
    "no id": {"jti": None},
    "scopes in a list": {"scope": ["place"]},
    "scopes in an object": {"scope": {"place": True}},
    "scopes as a number": {"scope": 7},
    "scopes as true": {"scope": True},
}


@pytest.mark.parametrize("claims", CLAIMS.values(), ids=CLAIMS)
async def test_wrong_claims_are_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(NotAuthenticated):
        await verifier().caller(ISSUED_BY.token(**claims))


RSA = ISSUED_BY.keys["RS256"]
GENUINE = ISSUED_BY.token()
HEADER, PAYLOAD, SIGNATURE = GENUINE.split(".")


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def by_secret(head: dict[str, Any], secret: bytes) -> str:
    """A token that is signed with a shared secret."""
    text = f"{encoded(head)}.{PAYLOAD}"
    return f"{text}.{encoded(hmac.digest(secret, text.encode(), 'sha256'))}"


def forged() -> dict[str, str]:
    """Tokens that the issuer did not sign, or not as an access token."""
    claims = Issuer.claims()
    head = {"alg": "RS256", "typ": "at+jwt", "kid": RSA.kid}
    foreign = ANOTHER.keys["RS256"]
    return {
        "alg none": f"{encoded({'alg': 'none', 'typ': 'at+jwt'})}.{PAYLOAD}.",
        "alg None": f"{encoded({'alg': 'None', 'typ': 'at+jwt'})}.{PAYLOAD}.",
        "alg none with a signature": f"{encoded({**head, 'alg': 'none'})}.{PAYLOAD}.{SIGNATURE}",
        "no signature": f"{HEADER}.{PAYLOAD}.",
        "HMAC with the public key as secret": by_secret({**head, "alg": "HS256"}, RSA.as_pem(private=False)),
        "an algorithm that is not allowed": sign({**head, "alg": "RS512"}, claims, RSA),
        "another algorithm in the header": f"{encoded({**head, 'alg': 'ES256'})}.{PAYLOAD}.{SIGNATURE}",
        "no algorithm": f"{encoded({'typ': 'at+jwt', 'kid': RSA.kid})}.{PAYLOAD}.{SIGNATURE}",
        "an algorithm that is a list": f"{encoded({**head, 'alg': ['RS256']})}.{PAYLOAD}.{SIGNATURE}",
        "another key of the same name": sign(
            head, claims, RSAKey.import_key(foreign.as_dict(private=True), {"kid": RSA.kid})
        ),
        "a key in the header": sign(
            {**head, "kid": "mine", "jwk": foreign.as_dict(private=False)}, claims, foreign
        ),
        "a key at a URL in the header": sign({**head, "jku": "http://127.0.0.1:1/jwks"}, claims, foreign),
        "an unknown key": sign({**head, "kid": "nobody"}, claims, RSA),
        "a key that is a path": sign({**head, "kid": "../../../../dev/null"}, claims, foreign),
        "a key that is a query": sign({**head, "kid": "x' UNION SELECT 'secret"}, claims, foreign),
        "a key that is null": f"{encoded({**head, 'kid': None})}.{PAYLOAD}.{SIGNATURE}",
        "a key that is a list": f"{encoded({**head, 'kid': [RSA.kid]})}.{PAYLOAD}.{SIGNATURE}",
        "an extension that is critical": f"{encoded({**head, 'crit': ['b64'], 'b64': False})}.{PAYLOAD}.{SIGNATURE}",
        "an ID token": ISSUED_BY.token(header={"typ": "JWT"}),
        "no type": ISSUED_BY.token(header={"typ": None}),
        "a logout token": ISSUED_BY.token(header={"typ": "logout+jwt"}),
        "changed claims": f"{HEADER}.{encoded({**claims, 'scope': 'admin'})}.{SIGNATURE}",
        "claims that are a list": sign(head, [claims], RSA),
        "claims that are no JSON": sign(head, b"{", RSA),
        "claims nested too deeply": sign(head, b"[" * 9_000, RSA),
        "a header that is a list": f"{encoded([])}.{PAYLOAD}.{SIGNATURE}",
        "a header that is no JSON": f"{encoded(b'{')}.{PAYLOAD}.{SIGNATURE}",
        "a header nested too deeply": f"{encoded(b'[' * 300)}.{PAYLOAD}.{SIGNATURE}",
        "encrypted": "a.b.c.d.e",
        "nothing": "..",
        "a signature changed": f"{HEADER}.{PAYLOAD}.{'A' if SIGNATURE[0] != 'A' else 'B'}{SIGNATURE[1:]}",
        "a huge header": f"{encoded({**head, 'x': 'x' * 100_000})}.{PAYLOAD}.{SIGNATURE}",
    }


FORGED = forged()


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
async def test_what_the_issuer_did_not_sign_as_an_access_token_is_refused(token: str) -> None:
    with pytest.raises(NotAuthenticated):
        await verifier().caller(token)


@given(st.data())
@settings(max_examples=300, deadline=None)
async def test_no_changed_token_is_taken(data: st.DataObject) -> None:
    token = list(GENUINE)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(token) - 1))
        token[place] = data.draw(st.sampled_from("ABCabc019-_.=~+/"))
    changed = "".join(token)
    try:
        caller = await verifier().caller(changed)
    except NotAuthenticated:
        return
    # The last letter of a part has bits that say nothing (RFC 4648, 3.5): then it says the same.
    assert caller.id == f"{ISSUER}#u1"


async def test_the_type_may_be_spelt_out_and_in_any_case() -> None:
    for kind in ("application/at+jwt", "AT+JWT"):
        assert (await verifier().caller(ISSUED_BY.token(header={"typ": kind}))).id


async def test_clocks_may_differ_a_little() -> None:
    now = int(time.time())
    assert (await verifier().caller(ISSUED_BY.token(exp=now - 5))).id
    assert (await verifier().caller(ISSUED_BY.token(iat=now + 5, nbf=now + 5))).id


async def test_a_token_that_was_taken_expires_all_the_same() -> None:
    now = time.time()
    tokens = verifier(clock=lambda: now)
    token = ISSUED_BY.token(exp=int(now) + 100)
    assert await tokens.caller(token) is await tokens.caller(token)
    now += 200
    with pytest.raises(NotAuthenticated, match="expired"):
        await tokens.caller(token)


async def test_a_token_that_was_taken_is_refused_once_its_key_is_withdrawn() -> None:
    known = Known(ISSUED_BY.public())
    tokens, token = TokenVerifier(TRUSTED, known), ISSUED_BY.token()
    assert (await tokens.caller(token)).id
    known.become(ANOTHER.public())
    with pytest.raises(NotAuthenticated):
        await tokens.caller(token)


async def test_few_tokens_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventbus.access.tokens.MAX_VERIFIED", 3)
    tokens = verifier()
    for number in range(10):
        await tokens.caller(ISSUED_BY.token("EdDSA", jti=str(number)))
    assert len(tokens._verified) == 3


def test_no_algorithm_works_with_a_shared_secret() -> None:
    assert not any(name.startswith("HS") or name.lower() == "none" for name in ALGORITHMS)


SMALL = RSAKey.generate_key(1024, {"kid": "small"})
USELESS = {
    "a shared secret": {"kty": "oct", "k": "c2VjcmV0", "kid": "s"},
    "a key to encrypt": {**RSA.as_dict(private=False), "use": "enc"},
    "a short key": SMALL.as_dict(private=False),
    "an unknown kind": {"kty": "AKP", "kid": "pq"},
    "a curve that is unknown": {"kty": "EC", "crv": "P-1", "x": "AA", "y": "AA"},
    "a point that is not on its curve": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
    "no kind": {"n": "AQAB", "e": "AQAB"},
    "numbers for texts": {"kty": "RSA", "n": 1, "e": 3},
    "a text": "key",
    "null": None,
    "a key for other operations": {
        **ECKey.generate_key("P-256").as_dict(private=False),
        "key_ops": ["encrypt"],
    },
}


@pytest.mark.parametrize("member", USELESS.values(), ids=USELESS)
def test_keys_that_verify_nothing_are_passed_over(member: Any) -> None:
    good = ISSUED_BY.keys["ES256"].as_dict(private=False)
    assert [key.kid for key in parse_key_set(json.dumps({"keys": [member, good]}).encode())] == [good["kid"]]
    with pytest.raises(BrokenFile, match="no key that can verify"):
        parse_key_set(json.dumps({"keys": [member]}).encode())


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b"\xff", b"[" * 100_000]
)
def test_what_is_no_key_set_is_refused(content: bytes) -> None:
    with pytest.raises(BrokenFile):
        parse_key_set(content)
