"""The trace that a request belongs to: W3C Trace Context, `traceparent`; it goes into every line logged meanwhile."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextvars import ContextVar
from typing import NamedTuple

# Ids of zeros alone are invalid, and so is version ff. Version 00 ends here; a later one may go on after a dash.
_BEGINNING = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")


class Trace(NamedTuple):
    """The ids of the trace and of the caller's span, in hexadecimal digits."""

    trace_id: str
    span_id: str


current: ContextVar[Trace | None] = ContextVar("likes_trace", default=None)


def trace_of(headers: Sequence[bytes]) -> Trace | None:
    """The trace that a request's `traceparent` headers name; None unless there is just one, and that is valid."""
    if len(headers) != 1:
        return None
    header = headers[0].strip(b" \t")
    ids = _BEGINNING.match(header)
    if not ids or (header[ids.end() :] and (header.startswith(b"00") or header[ids.end() : ids.end() + 1] != b"-")):
        return None
    return Trace(ids[1].decode(), ids[2].decode())
