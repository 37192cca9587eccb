"""The database's own clock: workers on several machines have several, and any of them may be wrong."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, literal_column, select

from likes.sql.columns import Moment
from likes.sql.dialects import dialect_of


def read_clock(connection: Connection) -> datetime:
    """This very moment, by the clock of the database."""
    now: datetime = connection.scalars(select(literal_column(dialect_of(connection).CLOCK, Moment()))).one()
    return now
