"""GET of a target just as it is written, which clients would resolve, encode or refuse."""

from __future__ import annotations

from tests.raw_http import Answer, Wire


def get(address: str, target: bytes, *headers: bytes) -> Answer:
    """The answer of the server at an address."""
    if not any(line.lower().startswith(b"host:") for line in headers):
        headers = (b"Host: localhost", *headers)
    with Wire(address) as wire:
        return wire.ask(b"\r\n".join([b"GET " + target + b" HTTP/1.1", *headers, b"", b""]))
