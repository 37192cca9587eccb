"""TLS in messages: which servers are spoken to over it, and what to do where that fails."""

from __future__ import annotations

import re

_AT, _OVER_TLS = " at ", " over TLS"
_WORD_OF_OPENSSL = re.compile(r"\[SSL(: \w+)?] | \(_ssl\.c:\d+\)")
_ENDED = re.compile(r"reset by peer|EOF occurred|[Cc]losed|[Bb]roken pipe")
_IN_VAIN = re.compile(r"[Tt]imed out|Timeout|wrong version|record layer|unexpected message|packet length")
_CERTIFICATES = (
    (re.compile(r"has expired|not yet valid"), "its certificate must be renewed, or a clock be set"),
    (re.compile(r"mismatch|not valid for"), "name it in the URL as its certificate does"),
    (
        re.compile(r"Key Identifier|key usage|[Bb]asic [Cc]onstraints"),
        "since Python 3.13 it must have that: issue it anew",
    ),
    (re.compile(r"certificate verify failed"), "name the file of the authority it has it from: ssl_ca_certs=FILE"),
    (
        re.compile(r"alert.*(certificate|unknown ca)"),
        "it wants a certificate of ours that it trusts: ssl_certfile=FILE&ssl_keyfile=FILE",
    ),
    (
        re.compile(r"handshake failure"),
        "it wants a certificate of ours (ssl_certfile=FILE&ssl_keyfile=FILE), or other ciphers (ssl_ciphers)",
    ),
)


def named(address: str, *, tls: bool, what: str = "Redis") -> str:
    """What messages call the server at `host:port`, or at the path of a socket."""
    return f"{what}{_AT}{address}{_OVER_TLS if tls else ''}"


def url_of(where: str, suffix: str = "") -> str:
    """The beginning of the URL of a server, from what messages call it. suffix: behind its scheme."""
    scheme = "rediss" if is_over_tls(where) else "redis"
    return f"{scheme}{suffix}://{address_of(where)}"


def address_of(where: str) -> str:
    """Its `host:port`."""
    return where.partition(_AT)[2].removesuffix(_OVER_TLS)


def is_over_tls(where: str) -> bool:
    """True if it is spoken to over TLS."""
    return where.endswith(_OVER_TLS)


def advised(reason: str, where: str, *, heard: bool) -> str:
    """Why a server was not reached, with what to do where that is about TLS. heard: it did answer at other times."""
    plain = _WORD_OF_OPENSSL.sub("", reason).rstrip(".")
    advice = _advice(reason, where, heard=heard)
    return f"{plain}; {advice}" if advice else plain


def _advice(reason: str, where: str, *, heard: bool) -> str:
    if not is_over_tls(where):
        is_asked = not heard and not address_of(where).startswith("/") and _ENDED.search(reason)
        return "if that port is one for TLS, the URL has to begin with rediss" if is_asked else ""
    for sign, advice in _CERTIFICATES:
        if sign.search(reason):
            return advice
    if not heard and _ENDED.search(reason):
        return "if it wants a certificate of ours, name one: ssl_certfile=FILE&ssl_keyfile=FILE"
    if not heard and _IN_VAIN.search(reason):
        return "if that port is one without TLS, the URL has to begin with redis"
    return ""
