"""Covering shards: noting the moment before which all that Redis accepted is in SQL. Exposure windows begin there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, literal, or_, select, update

from likes.batch import Place
from likes.sql.columns import Moment
from likes.sql.tables import cursors


def cover(
    connection: Connection,
    namespace: str,
    places: Mapping[int, Place],
    *,
    to: datetime,
    at: datetime,
    by: datetime,
    run_id: str = "",
    is_used: bool = True,
) -> None:
    """Note that what was accepted before `to` in these shards is in SQL: see `Cursor`. Unless their Redis `is_used`, an
    earlier moment that was noted stays.

    What a flush that began later has noted stays. A shard whose cursor is not at its place, nor further on, or does not
    know the process that the flush noted (`run_id`, if it is told), was put back meanwhile (restored, a standby
    promoted): what is lost of it was accepted before `to`.
    """
    began_before = or_(cursors.c.covered_at.is_(None), cursors.c.covered_at < at)
    mine = select(cursors.c.shard, cursors.c.epoch, cursors.c.seq, cursors.c.nonce).where(
        cursors.c.namespace == namespace, cursors.c.shard.in_(places), began_before
    )
    if run_id:
        mine = mine.where(cursors.c.run_id == run_id)
    rows = connection.execute(mine.order_by(cursors.c.shard).with_for_update()).all()
    due = [shard for shard, *now in rows if _is_reached(places[shard], Place(*now))]
    moments: dict[str, Any] = {"covered_to": to, "covered_at": at}
    if not is_used:
        moments = {name: func.coalesce(cursors.c[name], literal(moment, Moment())) for name, moment in moments.items()}
    connection.execute(
        update(cursors)
        .where(cursors.c.namespace == namespace, cursors.c.shard.in_(due))
        .values(**moments, covered_by=by)
    )


def _is_reached(place: Place, now: Place) -> bool:
    return now == place or (now.epoch == place.epoch and now.seq > place.seq)
