"""`likes cache`: the cached totals."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.exits import Code, say
from cli.options import COUNTER, LONGEST, Counter, Json, settings_of
from cli.output import as_json, as_pairs, line, number_of

app = typer.Typer(no_args_is_help=True, help="The totals that Redis keeps for readers.")


@app.command()
def warm(
    context: typer.Context,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, max=LONGEST, help="How many.")] = 1000,
    counter: Counter = COUNTER,
    json: Json = False,
) -> None:
    """Cache the largest totals ahead of traffic.

    Exit code 3: some could not be cached, as Redis is full or the database has other namespaces, too.

    $ likes cache warm --top 10000
    """
    from likes import LikeCounter
    from likes.buffer.cache import count_cached
    from likes.by_shard import ITEMS_A_READ, members
    from likes.connect import Places
    from likes.sql.totals import largest_totals

    settings = settings_of(context)
    places = Places.from_settings(settings)
    items = [each.item for each in largest_totals(places.open_database(), counter, top)]
    with LikeCounter.from_settings(settings) as likes, places.open_buffer(settings.prefix) as buffer:
        for first in range(0, len(items), ITEMS_A_READ):  # each with a time-out of its own
            likes.live(items[first : first + ITEMS_A_READ], counter=counter)
        cached = sum(count_cached(buffer, some) for some in members(items, counter, settings.shards))
    if json:
        as_json({"items": cached})
    else:
        line(f"{number_of(cached, 'total')} cached")
    if cached < len(items):
        missed = number_of(len(items) - cached, "total")
        say(f"{missed} could not be cached: Redis is full, or the database has another namespace; see likes check")
        raise typer.Exit(Code.PARTLY)


@app.command()
def stats(context: typer.Context, json: Json = False) -> None:
    """Show how often readers found a total, and how many totals there are.

    hits and misses: totals found, and asked of the database; early refreshes: asked of it before their end; waits: left
    to another reader who was just asking.

    $ likes cache stats --json
    """
    from likes.buffer.cache import read_stats
    from likes.connect import Places

    settings = settings_of(context)
    with Places.from_settings(settings).open_buffer(settings.prefix) as buffer:
        stats = read_stats(buffer)._asdict()
    if json:
        as_json(stats)
    else:
        as_pairs({name.replace("_", " "): value for name, value in stats.items()})


@app.command()
def clear(context: typer.Context, json: Json = False) -> None:
    """Drop all totals that are cached; nothing is lost, they are read from the database again.

    $ likes cache clear
    """
    from likes.buffer.cache import clear as drop_all
    from likes.connect import Places

    settings = settings_of(context)
    with Places.from_settings(settings).open_buffer(settings.prefix) as buffer:
        dropped = drop_all(buffer)
    if json:
        as_json({"dropped": dropped})
    else:
        line(f"{number_of(dropped, 'total')} dropped")
