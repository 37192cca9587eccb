"""How Redis, the database and the settings fit together: the same Redis, prefix and number of shards everywhere."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING

from likes.buffer.health import are_numbered, pending_samples
from likes.connect import Places
from likes.errors import LikesError
from likes.items import MAX_SHARDS, shard_of
from likes.sql.health import database_id, flushed_samples, namespaces
from likes.sql.ledger import Ledger
from worker.checks.abandoned import check_abandoned
from worker.checks.finding import Finding, Level

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from likes.sql.cursors import Cursor

Samples = dict[int, list[bytes]]
USUAL = (16, *(2**power for power in range(11)))


def check_together(engine: Engine, places: Places, namespace: str, shards: int) -> Iterator[Finding]:
    """What does not fit."""
    known = Ledger(engine, namespace, worker="").cursors()
    yield from _prefix(engine, namespace) if not known else _redis_name(known.values(), places)
    number = yield from _redis(engine, places, namespace, shards)
    pending = _pending(places, namespace)
    if number is None and not are_numbered(cursor.epoch for cursor in known.values()):
        # an older version began the epochs
        samples = pending if any(pending.values()) else flushed_samples(engine, namespace)
        yield from _shards(samples, max(known, default=-1) + 1, shards)
    elif number in (None, shards):
        yield from _shards(pending, 0, shards)
    yield from check_abandoned(engine, places, namespace)


def _prefix(engine: Engine, namespace: str) -> Iterator[Finding]:
    others = sorted(namespaces(engine))
    if not others:
        yield Finding(Level.OK, "first flush", "nothing was flushed yet under this prefix")
        return
    likely = (get_close_matches(namespace, others, n=1) or others)[0]
    found = f"nothing was ever flushed under {namespace!r}, but under {', '.join(others)}; right for a new one only"
    yield Finding(Level.WARNING, "prefix", found, f"export LIKES_PREFIX={likely}")


def _redis_name(known: Collection[Cursor], places: Places) -> Iterator[Finding]:
    name = places.redis_name()
    if others := sorted({cursor.redis_name for cursor in known} - {name, *places.former_redis_names()}):
        found = f"the database belongs to the Redis {', '.join(others)}, not to {name}: correct LIKES_REDIS_URL or"
        yield Finding(Level.ERROR, "redis name", f"{found} LIKES_REDIS_NAME; or, if it moved, adopt it", "likes adopt")
    else:
        yield Finding(Level.OK, "redis name", name)


def _redis(engine: Engine, places: Places, namespace: str, shards: int) -> Generator[Finding, None, int | None]:
    """Whose this Redis is, and in how many shards it holds likes: returned, too, where it tells."""
    try:
        with places.open_buffer(namespace) as buffer:
            views = buffer.look(dict.fromkeys(range(shards)))
    except LikesError:  # Redis has a finding of its own
        return None
    yield from _owner({view.owner for view in views.values() if view.owner}, database_id(engine))
    if to := next((view.resharding for view in views.values() if view.resharding), ""):
        found = (
            f"no likes are accepted, as their number is being changed to {to}: if that was broken off, go on, or back"
        )
        yield Finding(Level.WARNING, "resharding", found, f"likes reshard {to}")
    number = views[0].number
    if not to and number not in (None, shards):  # half-way none would do
        found = (
            f"LIKES_SHARDS is {shards}, and this Redis holds likes in {number} shards; or change that: likes reshard"
        )
        yield Finding(Level.ERROR, "shards", found, f"export LIKES_SHARDS={number}")
    return number


def _owner(owners: set[str], ours: str) -> Iterator[Finding]:
    if others := sorted(owners - {ours}):
        found = f"this Redis belongs to another database ({', '.join(others)}), not to this one ({ours or 'new'}): "
        advice = "correct LIKES_REDIS_URL or LIKES_DATABASE_URL; or, if that one is gone for good, adopt what is here"
        yield Finding(Level.ERROR, "owner", found + advice, "likes adopt --database")


def _pending(places: Places, namespace: str) -> Samples:
    """Items that are pending and their shards, as clients put them there now."""
    try:
        with places.open_buffer(namespace) as buffer:
            return pending_samples(buffer)
    except LikesError:  # Redis has a finding of its own
        return {}


def _shards(samples: Samples, known: int, shards: int) -> Iterator[Finding]:
    """`known`: how many shards the database has."""
    if _fits(samples, shards) and (known <= shards or not _fits(samples, known)):
        return
    found = f"LIKES_SHARDS is {shards}, and likes were posted with another number"
    likely = next((number for number in (known, *USUAL, *range(1, MAX_SHARDS + 1)) if _fits(samples, number)), None)
    if likely:
        yield Finding(Level.WARNING, "shards", f"{found}, {likely}", f"export LIKES_SHARDS={likely}")
    else:
        fix = "set the same LIKES_SHARDS for all clients and workers"
        yield Finding(Level.WARNING, "shards", "likes were posted with different numbers of shards", fix)


def _fits(samples: Samples, shards: int) -> bool:
    return shards > 0 and all(shard_of(item, shards) == shard for shard, items in samples.items() for item in items)
