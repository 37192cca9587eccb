"""Runs the migrations: on the connection `likes migrate` hands over, or on LIKES_DATABASE_URL for plain `alembic`."""

from __future__ import annotations

import os
from typing import Any

from alembic import context
from sqlalchemy import Connection

from likes.sql.schema import VERSION_TABLE, alone
from likes.sql.tables import metadata
from likes.sql.urls import parse_url


def ours(name: str | None, kind: str, parents: Any) -> bool:
    """Leave alone what else lives in the same database."""
    return kind != "table" or (name is not None and name.startswith("likes_"))


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, version_table=VERSION_TABLE, include_name=ours)
    context.run_migrations()


def database_url() -> str:
    url = os.environ.get("LIKES_DATABASE_URL")
    if not url:
        raise SystemExit("set LIKES_DATABASE_URL, or use `likes migrate`")
    return url


if context.is_offline_mode():
    context.configure(
        url=context.config.attributes.get("url") or parse_url(database_url()),
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        literal_binds=True,
    )
    with context.begin_transaction():
        context.run_migrations()
elif connection := context.config.attributes.get("connection"):
    migrate(connection)
else:
    with alone(database_url()) as connection:
        migrate(connection)
