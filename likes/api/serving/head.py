"""The head of a request: what httptools takes and we do not, since another server may read it differently."""

from __future__ import annotations

import re
from collections.abc import Sequence

from likes.api.problems import Problem
from likes.api.serving import refusals
from likes.api.serving.limits import Limits

HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+])(?::\d{0,5})?")
ABSOLUTE = re.compile(rb"https?://([^/?#:][^/?#]*)([^#]*)", re.IGNORECASE)
WATCHED = frozenset([b"host", b"content-length", b"transfer-encoding"])

Headers = Sequence[tuple[bytes, bytes]]


def check(method: bytes, url: bytes, headers: Headers, version: str, limits: Limits) -> None:
    """Raise Problem unless the head is whole, short enough and means one thing. Names of headers are in lower case."""
    if version not in ("1.1", "1.0"):
        raise refusals.wrong_version()
    if method == b"CONNECT":
        raise refusals.no_tunnel()
    if b"#" in url:
        raise refusals.malformed("its target has a #, which is written %23")
    if len(headers) > limits.headers:
        raise refusals.head_too_large(f"it has more than {limits.headers} headers")
    length, hosts = len(url), 0
    for name, value in headers:
        length += len(name) + len(value) + 4
        if name == b"host":
            hosts += 1
        if name in WATCHED:
            _check_value(name, value, version, limits)
    if length > limits.head_bytes:
        raise too_large(limits)
    _check_hosts(hosts, version)


def _check_hosts(hosts: int, version: str) -> None:
    if hosts > 1:
        raise refusals.malformed("it has several Host headers")
    if not hosts and version == "1.1":
        raise refusals.malformed("it has no Host header")


def _check_value(name: bytes, value: bytes, version: str, limits: Limits) -> None:
    if name == b"host" and not HOST.fullmatch(value):
        raise refusals.malformed("its Host header names no host")
    if name == b"content-length" and int(value) > limits.body_bytes:
        raise refusals.body_too_large(limits.body_bytes)
    if name == b"transfer-encoding" and (value.lower() != b"chunked" or version != "1.1"):
        raise refusals.malformed("its Transfer-Encoding is not chunked, of HTTP/1.1")


def too_large(limits: Limits) -> Problem:
    """The problem of a head that is too long."""
    return refusals.head_too_large(f"its address and headers have more than {limits.head_bytes:,} bytes")


def origin_form(url: bytes, headers: Headers) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """`http://host/path`, as proxies are sent it, as a path and a Host; `*` is as it is. Raises Problem for all else.

    That host is the one that is meant, whatever the Host header says: RFC 9112, section 3.2.2.
    """
    if url == b"*":
        return url, [*headers]
    parts = ABSOLUTE.fullmatch(url)
    if not parts or not HOST.fullmatch(parts[1]):
        raise refusals.malformed("it asks neither for a path nor for http://host/path")
    path = parts[2] if parts[2].startswith(b"/") else b"/" + parts[2]
    return path, [(b"host", parts[1]), *(header for header in headers if header[0] != b"host")]


def without_upgrade(method: bytes, url: bytes, headers: Headers, version: str, *, keeps_alive: bool) -> bytes:
    """The head as it would have been sent by a client that does not ask for another protocol."""
    lines = [b"%b %b HTTP/%b" % (method, url, version.encode())]
    lines += [b"%b: %b" % header for header in headers if header[0] not in (b"upgrade", b"connection")]
    return b"\r\n".join([*lines, b"connection: " + (b"keep-alive" if keeps_alive else b"close"), b"", b""])
