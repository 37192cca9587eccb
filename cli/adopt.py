"""`likes adopt`: accept this Redis as the one the database belongs to."""

from __future__ import annotations

import sys
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Json, settings_of
from cli.output import as_json, line
from likes.errors import InvalidInput

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


def adopt(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Accept this Redis as the one the database belongs to: it moved, or was replaced for good.

    A flush refuses a Redis of another name, so that nobody flushes a laptop's likes into the production database. What
    the Redis before still holds is not counted; an incident is recorded. Where only the name changed, set REDIS_NAME.

    $ likes adopt --redis-url redis://new-host:6379/0 --yes
    """
    from likes.buffer.links.link import ask
    from likes.buffer.scripts import command
    from likes.connect import Places
    from likes.sql.schema import require_head

    settings = settings_of(context)
    places = Places.from_settings(settings)
    with closing(places.open_link()) as link:
        ask(link, [command("PING")])  # a name that leads nowhere is a typing error
    engine = places.open_database()
    require_head(engine)
    name = places.redis_name()
    before = _others(engine, settings.prefix, name)
    if before and not yes:
        _confirm(f"Let the database belong to {name}, no longer to {', '.join(before)}?")
    changed = _take_over(engine, settings.prefix, before, name) if before else 0
    if json:
        as_json({"from": before, "to": name, "shards": changed})
    elif before:
        line(f"the database now belongs to {name}, no longer to {', '.join(before)}")
    else:
        line(f"nothing to do: the database belongs to no other Redis than {name}")


def _others(engine: Engine, prefix: str, name: str) -> list[str]:
    from likes.sql import cursors
    from likes.sql.engine import reading

    with reading(engine) as connection:
        known = cursors.read_all(connection, prefix).values()
    return sorted({cursor.redis_name for cursor in known} - {name})


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise InvalidInput(f"{question} Nobody is there to answer; if so, say --yes")
    typer.confirm(question, abort=True, err=True)


def _take_over(engine: Engine, prefix: str, before: list[str], name: str) -> int:
    from likes.sql import cursors, incidents
    from likes.sql.transaction import transact

    def work(connection: Connection) -> int:
        now = datetime.now(UTC)
        last = max(cursor.updated_at for cursor in cursors.read_all(connection, prefix).values())
        changed = cursors.take_over(connection, prefix, name)
        if changed:
            detail = f"an operator let the database belong to {name}, no longer to {', '.join(before)}"
            incidents.record(connection, prefix, incidents.Kind.REDIS_ADOPTED, detail, now=now, exposed_from=last)
        return changed

    return transact(engine, work)
