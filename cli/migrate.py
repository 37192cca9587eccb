"""`likes migrate`: bring the database's tables to what this version needs."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import settings_of
from cli.output import line


def migrate(
    context: typer.Context,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL for an empty database instead.")] = False,
) -> None:
    """Make or update the tables in the database.

    The version before this one goes on working with them. Safe to repeat, and to run from several places at once.

    $ likes migrate --database-url postgresql://user:password@host/name
    """
    from likes.connect import Places
    from likes.sql import schema
    from likes.sql.urls import describe

    places = Places.from_settings(settings_of(context))
    if sql:
        line(schema.migration_sql(places.database_url()))
        return
    engine = places.open_database()
    behind = (schema.revision(engine) or "") < schema.head()
    if behind:
        schema.migrate(engine)
    line(f"{describe(places.database_url())}: {'now' if behind else 'already'} at revision {schema.revision(engine)}")
