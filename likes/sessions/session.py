"""Sessions as plain values: how long they live, how one begins, stands and has ended."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from likes.sessions.fields import Fields, from_json
from likes.sessions.token import Place

_FIELD = b"f:"  # before the names of an application's fields: ours have none, so that they are never taken for them


class Life(NamedTuple):
    """How long sessions live, in seconds: unused, and at most."""

    idle: float
    longest: float

    def words(self) -> tuple[int, int, int]:
        """The arguments that every script but `drop` begins with."""
        return round(self.idle * 1000), round(self.longest * 1000), time.time_ns() // 1_000_000


class Begun(NamedTuple):
    """How a session begins. keep: the names of those fields that SQL gets when it ends."""

    user: str
    fields: Fields
    keep: tuple[str, ...]
    hits: int = 0


class Due(NamedTuple):
    """What a sweep finds in a shard. now: by Redis's clock. number: of this sweep. sessions: hash and user of each."""

    now: int
    number: int
    sessions: list[tuple[str, str]]


class Session(NamedTuple):
    """A session that is not over. user: "" for nobody. seen: when this was so, by Redis's clock."""

    place: Place
    user: str
    created_at: datetime
    last_seen: datetime
    expires_at: datetime
    hits: int
    fields: Fields
    keep: tuple[str, ...]
    seen: datetime

    @property
    def values(self) -> dict[str, Any]:
        """Its fields: name -> value."""
        return from_json(self.fields)


class Ended(NamedTuple):
    """A session that is over, with the fields that are to be kept.

    at: when it ended, in milliseconds since 1970 by Redis's clock. moved_to: where it was to go on, if it was.
    owner: the database that its shard belongs to, "" for none.
    """

    place: Place
    user: str
    created_at: datetime
    last_seen: datetime
    hits: int
    at: int
    fields: Fields
    moved_to: Place | None
    owner: str

    @property
    def ended_at(self) -> datetime:
        """When it ended."""
        return moment(self.at)


def moment(milliseconds: int | bytes) -> datetime:
    """Milliseconds since 1970 as Redis tells them."""
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)


def read_session(place: Place, reply: list[bytes] | None) -> Session | None:
    """What a script says of a session; None if it is over."""
    if not reply:
        return None
    held = _held(reply)
    return Session(
        place,
        held[b"user"].decode(),
        moment(held[b"created_at"]),
        moment(held[b"last_seen"]),
        moment(held[b"expires_at"]),
        int(held[b"hits"]),
        _fields(held),
        tuple(held.get(b"keep", b"").decode().split()),
        moment(reply[0]),
    )


def read_ended(place: Place, reply: list[bytes] | None) -> Ended | None:
    """What a script says of an ended session; None if nothing waits."""
    if not reply:
        return None
    held = _held(reply)
    shard, _, moved_to = held.get(b"moved_to", b"").decode().partition(".")
    return Ended(
        place,
        held[b"user"].decode(),
        moment(held[b"created_at"]),
        moment(held[b"last_seen"]),
        int(held[b"hits"]),
        int(held[b"ended_at"]),
        _fields(held),
        Place(int(shard), moved_to) if moved_to else None,
        held[b"owner"].decode(),
    )


def _held(reply: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(reply[1::2], reply[2::2], strict=True))


def _fields(held: Mapping[bytes, bytes]) -> dict[str, str]:
    return {
        name.removeprefix(_FIELD).decode(): value.decode() for name, value in held.items() if name.startswith(_FIELD)
    }
