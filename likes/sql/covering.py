"""Covering shards: noting the moment before which all that Redis accepted is in SQL. Exposure windows begin there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, or_, select, update

from likes.batch import Place
from likes.sql.tables import cursors


def cover(
    connection: Connection,
    namespace: str,
    places: Mapping[int, Place],
    *,
    to: datetime | None,
    at: datetime,
    by: datetime,
) -> None:
    """Note that what was accepted before `to`, if that can be said, in these shards is in SQL: see `Cursor`.

    What a flush that began later has noted stays. A shard whose cursor is not at its place, nor further on, was put
    back meanwhile (restored, a standby promoted): what is lost of it was accepted before `to`.
    """
    began_before = or_(cursors.c.covered_at.is_(None), cursors.c.covered_at < at)
    mine = select(cursors.c.shard, cursors.c.epoch, cursors.c.seq, cursors.c.nonce).where(
        cursors.c.namespace == namespace, cursors.c.shard.in_(places), began_before
    )
    rows = connection.execute(mine.order_by(cursors.c.shard).with_for_update()).all()
    due = [shard for shard, *now in rows if _is_reached(places[shard], Place(*now))]
    moments = {"covered_to": to, "covered_at": at} if to is not None else {}
    connection.execute(
        update(cursors)
        .where(cursors.c.namespace == namespace, cursors.c.shard.in_(due))
        .values(**moments, covered_by=by)
    )


def _is_reached(place: Place, now: Place) -> bool:
    return now == place or (now.epoch == place.epoch and now.seq > place.seq)
