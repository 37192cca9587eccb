"""`traceparent`, by the examples and the rules of W3C Trace Context."""

from __future__ import annotations

import json
import logging

import pytest

from likes.log_lines import Json, Text
from likes.trace import Trace, current, trace_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
VALID = Trace(TRACE, SPAN)


@pytest.mark.parametrize(
    "header",
    [
        f"00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-00",
        f" 00-{TRACE}-{SPAN}-01\t",
        f"01-{TRACE}-{SPAN}-01",  # of a later version
        f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like",
    ],
)
def test_what_is_valid(header: str) -> None:
    assert trace_of([header.encode()]) == VALID


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-more",  # version 00 has no more
        f"00-{TRACE}-{SPAN}-01-",
        f"01-{TRACE}-{SPAN}-01.more",
        f"ff-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}g-01",
        f"00-{TRACE}-{SPAN}-0g",
        f"00_{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-01\n{{}}",
    ],
)
def test_what_is_invalid_is_ignored(header: str) -> None:
    assert trace_of([header.encode()]) is None


def test_of_two_headers_neither_is_believed() -> None:
    header = f"00-{TRACE}-{SPAN}-01".encode()
    assert trace_of([header, header]) is None
    assert trace_of([]) is None


def test_it_is_in_every_line_logged_meanwhile() -> None:
    record = logging.LogRecord("sqlalchemy", logging.WARNING, "", 0, "a library says", (), None)
    token = current.set(VALID)
    try:
        said, text = json.loads(Json().format(record)), Text().format(record)
    finally:
        current.reset(token)
    assert (said["trace_id"], said["span_id"]) == VALID
    assert text.endswith(f"a library says trace_id={TRACE} span_id={SPAN}")
    assert "trace_id" not in json.loads(Json().format(record))
