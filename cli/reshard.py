"""`likes reshard`: another number of shards."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cli.exits import say
from cli.options import Json, settings_of
from cli.output import as_json, line
from likes.errors import InvalidInput
from likes.items import MAX_SHARDS


def reshard(
    context: typer.Context,
    shards: Annotated[int, typer.Argument(metavar="N", min=1, max=MAX_SHARDS, help="How many there are to be.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Hold likes in another number of shards from now on. Nothing is lost, nothing counts twice, totals stay exact.

    Clients and workers that run with the number before are refused afterwards, and told the new one: set LIKES_SHARDS
    and start them anew. While it runs, for as long as a flush takes, likes wait or are refused, and reads go on. Killed
    at any moment, it goes on when it is begun again, and back with the number before. All clients and workers must be
    of a version that knows this command.

    $ likes reshard 32 --yes
    """
    from likes.sql.schema import require_head
    from worker.assembly import open_flusher
    from worker.resharding import Reshard

    settings = settings_of(context)
    with open_flusher(settings, any_number=True) as flusher:
        require_head(flusher.ledger.engine)
        change = Reshard(flusher, shards, settings.shards, say)
        is_done = change.is_done()
        if not is_done:
            _confirm(f"Hold likes in {shards} shards, not in {change.before}, in {flusher.buffer.where}?", yes=yes)
            change.run()
    if json:
        as_json({"from": change.before, "to": shards, "changed": not is_done})
    elif is_done:
        line(f"nothing to do: likes are held in {shards} shards")
    else:
        line(f"likes are held in {shards} shards now: start all clients and workers anew, with LIKES_SHARDS={shards}")


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput(f"{question} Nobody is there to answer; if so, say --yes")
    typer.confirm(question, abort=True, err=True)
