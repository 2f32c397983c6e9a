"""What hostile requests are made of. Each value once broke some server."""

from __future__ import annotations

# fmt: off
HEADERS = (
    "Idempotency-Key", "Prefer", "If-None-Match", "Content-Type", "Content-Encoding", "Content-Length", "Accept",
    "Host", "Origin", "Authorization", "Last-Event-ID", "traceparent", "X-Correlation-ID", "Expect", "Connection",
    "Upgrade", "Range", "Cookie", "Transfer-Encoding", "TE", "Trailer", "Sec-Fetch-Site", "X-Forwarded-For", "Via",
)
VALUES = (
    b"", b" ", b"\t", b"\x00", b"\xff\xfe", b"\xc3\x28", b"a" * 9_000, b"a" * 40_000, b"-1", b"0", b"9" * 20, b"1e9",
    b"wait=", b"wait=99999999999999999999", b"wait=-1", b'wait="', b"*", b"W/", b'"', b"null", b"undefined",
    b"application/json; charset=utf-16", b"text/html", b"gzip", b"chunked, chunked", b"identity", b"100-continue",
    b"websocket", b"h2c", b"close, keep-alive", b"bytes=0-1,2-3,4-", b"Bearer ", b"Bearer " + b"." * 2_000,
    b"Basic Og==", b"cross-site", b"http://evil.example", b"null\r\n folded", b"%00", b"../..", b"${jndi:x}",
)
BODIES = (
    b"", b"{", b"}", b"[]", b"null", b"true", b"0", b'""', b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00", b"[" * 20_000,
    b'{"a":' * 20_000, b"{}" * 100, b'{"quantity": 1e999999999}', b'{"quantity": ' + b"9" * 5_000 + b"}",
    b'{"userId": "\\ud800"}', b'{"userId": "\\u0000"}', b'{"userId": NaN}', b'{"userId": -Infinity}',
    b'{"userId": "a", "userId": "b"}', b'{"items": {"length": 1000000}}', b'{"__proto__": {}}', b"\x00" * 1_000,
    b'{"userId":"u","items":[' + b'{"productId":"p","quantity":1},' * 3_000 + b"]}", b"," * 60_000, b"a=b&c=d",
    b'{"userId": {"$ne": null}}', b'{"reason": "' + b"\xf0\x9f\x92\xa9" * 1_000 + b'"}', b'{"reason": 1',
    b" " * 100_000,
)
TARGETS = (
    "*", "//", "/..", "/%2e%2e/%2e%2e", "/%00", "/%", "/%zz", "/%ff%fe", "http://evil.example/orders", "/orders#x",
    "/?", "/orders/" + "a" * 200, "/orders/" + "a" * 20_000, "/orders?" + "a=b&" * 2_000, "/orders/%f0%9f%92%a9",
    "/ orders", "/orders/%0d%0aX: y", "/stock/" + "%2f" * 100, "orders", "/openapi.json?x[]=1", "/docs", "/\\",
    "/orders/.", "/ä",
)
METHODS = (
    "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "QUERY", "get", "G" * 500, "",
)
CHUNKS = (
    b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhel", b"-5\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n",
    b"FFFFFFFFFFFFFFFFF\r\n", b"5;" + b"x=y;" * 10_000 + b"\r\nhello\r\n0\r\n\r\n", b"5\nhello\n0\n\n", b"\r\n",
    b"zz\r\n", b"5\r\nhelloXX0\r\n\r\n", b"0\r\nA: b\r\nContent-Length: 3\r\n\r\n",
    b"0\r\n" + b"T: t\r\n" * 20_000 + b"\r\n", b"1\r\n{\r\n" * 500 + b"0\r\n\r\n",
    b"00000000000000000000000005\r\nhello\r\n0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n",
)
# fmt: on
SMUGGLED = b"GET /healthz?smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
"""A request that stands in the body of another."""
FRAMINGS = (
    ("Content-Length: 4", "Transfer-Encoding: chunked"),
    ("Transfer-Encoding: chunked", "Content-Length: 4"),
    ("Content-Length: 0", "Content-Length: {}"),
    ("Content-Length: {}", "Content-Length: 0"),
    ("Content-Length: 0, {}",),
    ("Content-Length: +{}",),
    ("Content-Length: 0x{}",),
    ("Content-Length : {}",),
    ("Content-Length:\x0b{}",),
    ("Transfer-Encoding: xchunked", "Content-Length: {}"),
    ("Transfer-Encoding: chunked, identity",),
    ("Transfer-Encoding:\tchunked", "Content-Length: {}"),
    ("Transfer-Encoding: identity", "Transfer-Encoding: chunked", "Content-Length: {}"),
    ("X: y\n Transfer-Encoding: chunked", "Content-Length: {}"),
    ("X: y\nTransfer-Encoding: chunked", "Content-Length: {}"),
    ("Transfer_Encoding: chunked", "Content-Length: {}"),
)
"""Two answers to the question where a body ends (RFC 9112, 6.3); ``{}`` is its length."""
