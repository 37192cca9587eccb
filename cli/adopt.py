"""`likes adopt`: accept this Redis as the one the database belongs to, or this database as the one Redis belongs to."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Json, settings_of
from cli.output import as_json, line
from likes.errors import InvalidInput

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from likes.buffer.buffer import Buffer
    from likes.config.settings import Settings


def adopt(
    context: typer.Context,
    database: Annotated[bool, typer.Option("--database", help="Let this Redis belong to this database.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="First give this database, a copy, an id of its own.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Accept this Redis as the one the database belongs to: it moved, or was replaced for good.

    A flush refuses a Redis of another name, so that nobody flushes a laptop's likes into the production database. What
    the Redis before still holds is not counted; an incident is recorded. Where only its name changed, LIKES_REDIS_NAME
    can be set to the old one.

    With --database the other way round: let what this Redis holds belong to this database, as the one before is gone
    for good. Stop its workers first. A database made from a dump has the id of its origin: --fresh gives it its own.

    $ likes adopt --redis-url redis://new-host:6379/0 --yes
    """
    from likes.connect import Places
    from likes.sql.schema import require_head

    if fresh and not database:
        raise InvalidInput("--fresh gives the database a new id; say --database with it")
    settings = settings_of(context)
    places = Places.from_settings(settings)
    with places.open_buffer(settings.prefix) as buffer:
        buffer.ping()  # a name that leads nowhere is a typing error
        engine = places.open_database()
        require_head(engine)
        if database:
            _adopt_database(buffer, engine, settings, fresh=fresh, yes=yes, json=json)
        else:
            _adopt_redis(engine, settings.prefix, places.redis_name(), yes=yes, json=json)


def _adopt_redis(engine: Engine, prefix: str, name: str, *, yes: bool, json: bool) -> None:
    from likes.sql.takeover import other_redis_names, take_over

    before = other_redis_names(engine, prefix, name)
    if before and not yes:
        _confirm(f"Let the database belong to {name}, no longer to {', '.join(before)}?")
    changed = take_over(engine, prefix, name, before) if before else 0
    if json:
        as_json({"from": before, "to": name, "shards": changed})
    elif before:
        line(f"the database now belongs to {name}, no longer to {', '.join(before)}")
    else:
        line(f"nothing to do: the database belongs to no other Redis than {name}")


def _adopt_database(buffer: Buffer, engine: Engine, settings: Settings, *, fresh: bool, yes: bool, json: bool) -> None:
    from likes.sessions.token import SESSION_SHARDS
    from likes.sql.identity import make_fresh_id, make_id
    from likes.sql.takeover import record_new_owner

    if fresh and not yes:
        _confirm("Give this database an id of its own, as it is a copy of another?")
    ours = make_fresh_id(engine) if fresh else make_id(engine)
    of_sessions = [shard for shard, owner in buffer.ownership.read(range(SESSION_SHARDS)).items() if owner]
    shards = {*range(settings.shards), *of_sessions, *buffer.shards_in_use()}
    seen = {shard: view.owner for shard, view in buffer.look(dict.fromkeys(shards)).items() if view.owner != ours}
    others = {shard: owner for shard, owner in seen.items() if owner}
    if others and not yes:
        _confirm(f"Let {buffer.where} belong to this database, {ours}, no longer to {_named(others.values())}?")
    nobodys = buffer.ownership.unclaimed(seen.keys() - others.keys())
    record_new_owner(engine, settings.prefix, others | dict.fromkeys(nobodys, ""), ours)
    buffer.ownership.take_over(seen, ours)
    if json:
        as_json({"from": sorted(set(others.values())), "to": ours, "shards": len(seen)})
    elif others:
        line(f"{buffer.where} now belongs to this database, {ours}, no longer to {_named(others.values())}")
    else:
        line(f"{buffer.where} belongs to this database, {ours}")


def _named(ids: Collection[str]) -> str:
    return ", ".join(sorted(set(ids)))


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise InvalidInput(f"{question} Nobody is there to answer; if so, say --yes")
    typer.confirm(question, abort=True, err=True)
