"""`likes get`: live totals."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.exits import say
from cli.options import COUNTER, Counter, Json, settings_of
from cli.output import as_table, rows_as_json

DOUBTS = {
    "out-of-step": "Redis or the database was emptied, replaced or restored, or a batch of a later version is in flight"
    ": until a flush has seen to it, these totals may be off.",
    "other-database": "This Redis belongs to another database, which gets what is pending here: these totals may be"
    " off. Correct LIKES_REDIS_URL or LIKES_DATABASE_URL, or, if that database is gone for good, take over what is"
    " here: likes adopt --database. To see both: likes check",
}


def get(
    context: typer.Context,
    items: Annotated[list[str], typer.Argument(metavar="ITEM", help="Which items.", show_default=False)],
    counter: Counter = COUNTER,
    json: Json = False,
) -> None:
    """Show live totals: in the database + in flight + pending in Redis.

    $ likes get video:42
    $ likes get video:42 video:7 --counter views --json
    """
    from likes import LikeCounter

    with LikeCounter.from_settings(settings_of(context)) as likes:
        live = likes.live(items, counter=counter)
    rows = [{"item": item, "counter": counter, **parts._asdict()} for item, parts in live.items()]
    for doubt in sorted({parts.doubt for parts in live.values() if parts.doubt}):
        say(DOUBTS[doubt])
    if json:
        rows_as_json(rows)
    else:
        as_table(["item", "counter", "total", "database", "in_flight", "pending"], rows)
