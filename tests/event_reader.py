"""A client of server-sent events, as browsers read them, that also tells of comments."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx


class Event(NamedTuple):
    """One block of a stream; `comments` are those in it. An event without a name is none."""

    name: str
    data: Any
    id: str
    retry: int | None
    comments: tuple[str, ...]


class EventReader:
    """Reads blocks as they come."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = self._split()

    def _split(self) -> Iterator[str]:
        """Lines end where the standard says, not at each thing that Unicode calls the end of one."""
        rest = b""
        for chunk in self.response.iter_raw():
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode() for line in lines)

    def block(self) -> Event | None:
        """The next block; None at the end of the stream."""
        fields: dict[str, str] = {}
        comments: list[str] = []
        for line in self._lines:
            if not line:
                retry = int(fields["retry"]) if "retry" in fields else None
                data = json.loads(fields["data"]) if "data" in fields else None
                return Event(fields.get("event", ""), data, fields.get("id", ""), retry, tuple(comments))
            name, _, value = line.partition(":")
            if name:
                assert name in ("event", "data", "id", "retry"), line
                fields[name] = value.removeprefix(" ")
            else:
                comments.append(value.strip())
        return None

    def event(self, name: str | None = None) -> Event:
        """The next event, or the next of this name."""
        while (block := self.block()) is not None:
            if block.name and name in (None, block.name):
                return block
        raise AssertionError("the stream has ended")


@contextmanager
def events(client: httpx.Client, path: str, last_id: str | None = None, **params: Any) -> Iterator[EventReader]:
    """A stream, closed at the end of the block."""
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last_id} if last_id else {})}
    with client.stream("GET", path, params=params, headers=headers) as response:
        assert response.status_code == 200, response.read()
        yield EventReader(response)
