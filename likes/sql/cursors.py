"""Cursors and epochs in SQL: which epoch of a shard is current, how far it was applied, which were given up.

Each function works inside the caller's transaction. `move` and `retire` need the cursor locked by `lock` first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, insert, or_, select, update

from likes.batch import Place
from likes.errors import LikesError, WrongRedis
from likes.sql import generations
from likes.sql.tables import cursors, retired_epochs


class Cursor(NamedTuple):
    """Where a shard stands in SQL: `epoch` is None when none is current, `nonce` is "" before the first batch.

    durable: 1 if the server `run_id` writes to disk before it answers.
    covered_to: the moment, by Redis's clock, before which all that was accepted is in SQL; None before the first flush
        that was complete. covered_at: the same moment by SQL's clock; covered_by: when that flush was over, by Redis's.
    forgot: which proof that Redis forgot likes was told last.
    generation: of cached totals; see `generations`.
    """

    shard: int
    epoch: str | None
    seq: int
    nonce: str
    applied_delta: int
    redis_name: str
    replid: str
    run_id: str
    updated_at: datetime
    durable: int = 0
    covered_to: datetime | None = None
    covered_at: datetime | None = None
    covered_by: datetime | None = None
    forgot: int = 0
    generation: int = 0

    @property
    def place(self) -> Place:
        """How far the shard's chain was counted."""
        return Place(self.epoch, self.seq, self.nonce)


_COLUMNS = (
    cursors.c.shard,
    cursors.c.epoch,
    cursors.c.seq,
    cursors.c.nonce,
    cursors.c.applied_delta,
    cursors.c.redis_name,
    cursors.c.replid,
    cursors.c.run_id,
    cursors.c.updated_at,
    cursors.c.durable,
    cursors.c.covered_to,
    cursors.c.covered_at,
    cursors.c.covered_by,
    cursors.c.forgot,
    cursors.c.generation,
)


def read_all(connection: Connection, namespace: str) -> dict[int, Cursor]:
    """The cursors of all shards that have one."""
    rows = connection.execute(select(*_COLUMNS).where(cursors.c.namespace == namespace))
    return {row.shard: Cursor(*row) for row in rows}


def lock(connection: Connection, namespace: str, shard: int) -> Cursor:
    """The shard's cursor, locked until the transaction ends; raises LikesError if it is gone."""
    one = select(*_COLUMNS).where(cursors.c.namespace == namespace, cursors.c.shard == shard).with_for_update()
    row = connection.execute(one).one_or_none()
    if row is None:
        raise LikesError(f"shard {shard} has lost its cursor: the database was restored; the next flush begins anew")
    return Cursor(*row)


def lock_all(connection: Connection, namespace: str) -> None:
    """Lock the cursors of all shards, in the order in which a flush locks those of some."""
    connection.execute(
        select(cursors.c.shard).where(cursors.c.namespace == namespace).order_by(cursors.c.shard).with_for_update()
    ).all()


def begin(connection: Connection, namespace: str, shards: Collection[int], redis_name: str, now: datetime) -> None:
    """Give shards their first cursor, without an epoch yet; those that have one keep it."""
    there = set(connection.scalars(select(cursors.c.shard).where(cursors.c.namespace == namespace)))
    rows = [
        {
            "namespace": namespace,
            "shard": shard,
            "epoch": None,
            "seq": 0,
            "nonce": "",
            "applied_delta": 0,
            "redis_name": redis_name,
            "replid": "",
            "run_id": "",
            "updated_at": now,
        }
        for shard in sorted(set(shards) - there)
    ]
    if not rows:
        return
    if not there and connection.scalar(select(cursors.c.shard).limit(1)) is not None:
        generations.renew_all(connection)  # from now on another namespace adds to the same totals
    connection.execute(insert(cursors), rows)


def move(connection: Connection, namespace: str, cursor: Cursor, now: datetime) -> None:
    """Set the shard's cursor to where `cursor` says."""
    connection.execute(
        update(cursors)
        .where(cursors.c.namespace == namespace, cursors.c.shard == cursor.shard)
        .values(
            epoch=cursor.epoch,
            seq=cursor.seq,
            nonce=cursor.nonce,
            applied_delta=cursor.applied_delta,
            forgot=cursor.forgot,
            generation=cursor.generation,
            updated_at=now,
        )
    )


def retire(connection: Connection, namespace: str, cursor: Cursor, epoch: str, reason: str, now: datetime) -> Cursor:
    """Give up `epoch` for ever; returns the cursor as it is then, without an epoch if it was the current one."""
    mine = cursor.epoch == epoch
    if not is_retired(connection, namespace, cursor.shard, epoch):
        connection.execute(
            insert(retired_epochs).values(
                namespace=namespace,
                shard=cursor.shard,
                epoch=epoch,
                seq=cursor.seq if mine else 0,
                nonce=cursor.nonce if mine else "",
                applied_delta=cursor.applied_delta if mine else 0,
                retired_at=now,
                reason=reason,
            )
        )
    if not mine:
        return cursor
    cursor = cursor._replace(epoch=None, seq=0, nonce="", applied_delta=0)
    move(connection, namespace, cursor, now)
    return cursor


def is_retired(connection: Connection, namespace: str, shard: int, epoch: str) -> bool:
    """True if the epoch was given up."""
    return epoch in retired(connection, namespace, shard)


def retired(connection: Connection, namespace: str, shard: int) -> frozenset[str]:
    """All epochs of a shard that were given up."""
    mine = select(retired_epochs.c.epoch).where(
        retired_epochs.c.namespace == namespace, retired_epochs.c.shard == shard
    )
    return frozenset(connection.scalars(mine))


def close_books(connection: Connection, namespace: str, shard: int, epoch: str, accepted: int, sealed: int) -> None:
    """Keep what Redis counted under a retired epoch, before its keys are dropped."""
    connection.execute(
        update(retired_epochs)
        .where(
            retired_epochs.c.namespace == namespace,
            retired_epochs.c.shard == shard,
            retired_epochs.c.epoch == epoch,
        )
        .values(accepted=accepted, sealed=sealed)
    )


def require_redis(cursor: Cursor, redis_name: str, *former: str) -> None:
    """Raise WrongRedis unless the cursor belongs to the Redis of this name, or of one of its `former` names."""
    if cursor.redis_name not in (redis_name, *former):
        raise WrongRedis(
            f"this database belongs to the Redis {cursor.redis_name}, not to {redis_name}; if they are the same, or it "
            "moved, accept it with: likes adopt (a name that is to stay can be set: REDIS_NAME)"
        )


def take_over(connection: Connection, namespace: str, redis_name: str) -> int:
    """Make all cursors belong to another Redis; returns how many changed."""
    lock_all(connection, namespace)
    return connection.execute(
        update(cursors)
        .where(cursors.c.namespace == namespace, cursors.c.redis_name != redis_name)
        .values(redis_name=redis_name)
    ).rowcount


def rename_redis(connection: Connection, namespace: str, former: Collection[str], redis_name: str) -> None:
    """Make those cursors that belong to a Redis of a `former` name belong to `redis_name`."""
    lock_all(connection, namespace)
    connection.execute(
        update(cursors)
        .where(cursors.c.namespace == namespace, cursors.c.redis_name.in_(former))
        .values(redis_name=redis_name)
    )


def note_server(
    connection: Connection, namespace: str, read: Collection[Cursor], *, replid: str, run_id: str, durable: int
) -> list[Cursor]:
    """Remember which server answers for these shards now, unless somebody else noted it since they were read; returns
    their cursors as they were, those that changed.
    """
    lock_all(connection, namespace)
    stand = read_all(connection, namespace)
    known = {cursor.shard: (cursor.replid, cursor.run_id, cursor.durable) for cursor in read}
    there = {shard: (cursor.replid, cursor.run_id, cursor.durable) for shard, cursor in stand.items()}
    others = [s for s, server in known.items() if there.get(s) == server != (replid, run_id, durable)]
    connection.execute(
        update(cursors)
        .where(cursors.c.namespace == namespace, cursors.c.shard.in_(others))
        .values(replid=replid, run_id=run_id, durable=durable)
    )
    return [stand[shard] for shard in others]


def cover(
    connection: Connection, namespace: str, places: Mapping[int, Place], *, to: datetime, at: datetime, by: datetime
) -> None:
    """Note that what was accepted before `to` in these shards is in SQL: see `Cursor`.

    What a flush that began later has noted stays. A shard whose cursor is not at its place, nor further on, was put
    back meanwhile (restored, a standby promoted): what is lost of it was accepted before `to`.
    """
    began_before = or_(cursors.c.covered_at.is_(None), cursors.c.covered_at < at)
    mine = select(cursors.c.shard, cursors.c.epoch, cursors.c.seq, cursors.c.nonce).where(
        cursors.c.namespace == namespace, cursors.c.shard.in_(places), began_before
    )
    rows = connection.execute(mine.order_by(cursors.c.shard).with_for_update()).all()
    due = [shard for shard, *now in rows if _is_reached(places[shard], Place(*now))]
    connection.execute(
        update(cursors)
        .where(cursors.c.namespace == namespace, cursors.c.shard.in_(due))
        .values(covered_to=to, covered_at=at, covered_by=by)
    )


def _is_reached(place: Place, now: Place) -> bool:
    return now == place or (now.epoch == place.epoch and now.seq > place.seq)
