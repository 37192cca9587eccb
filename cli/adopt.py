"""`likes adopt`: accept this Redis as the one the database belongs to."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cli.options import Json, settings_of
from cli.output import as_json, line
from likes.errors import InvalidInput


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
    from likes.connect import Places
    from likes.sql.schema import require_head
    from likes.sql.takeover import other_redis_names, take_over

    settings = settings_of(context)
    places = Places.from_settings(settings)
    with places.open_buffer(settings.prefix) as buffer:
        buffer.ping()  # a name that leads nowhere is a typing error
    engine = places.open_database()
    require_head(engine)
    name = places.redis_name()
    before = other_redis_names(engine, settings.prefix, name)
    if before and not yes:
        _confirm(f"Let the database belong to {name}, no longer to {', '.join(before)}?")
    changed = take_over(engine, settings.prefix, name, before) if before else 0
    if json:
        as_json({"from": before, "to": name, "shards": changed})
    elif before:
        line(f"the database now belongs to {name}, no longer to {', '.join(before)}")
    else:
        line(f"nothing to do: the database belongs to no other Redis than {name}")


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise InvalidInput(f"{question} Nobody is there to answer; if so, say --yes")
    typer.confirm(question, abort=True, err=True)
