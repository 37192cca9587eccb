"""`likes flush`: move what is pending into the database, now."""

from __future__ import annotations

import time

import typer

from cli.exits import Code, say
from cli.options import Json, settings_of
from cli.output import as_json, line, number_of


def flush(context: typer.Context, json: Json = False) -> None:
    """Move into the database what is pending now, whoever holds a lease.

    Exit code 3: some entries were refused by the database and set aside as dead letters.

    $ likes flush
    $ likes flush --json
    """
    from likes.sql.schema import require_head
    from worker.assembly import housekeeping_for, open_flusher

    began = time.monotonic()
    settings = settings_of(context)
    with open_flusher(settings) as flusher:
        require_head(flusher.ledger.engine)
        shards = flusher.shards_in_use()
        flushed = flusher.flush(shards)
        housekeeping_for(flusher, settings).tidy(shards)
    seconds = round(time.monotonic() - began, 3)
    if json:
        as_json({**flushed._asdict(), "seconds": seconds})
    else:
        batches, items = number_of(flushed.batches, "batch"), number_of(flushed.items, "item")
        line(f"{batches}, {items}, {flushed.delta:+,} in {seconds:.2f} s")
    if flushed.dead_letters:
        entries = number_of(flushed.dead_letters, "entry")
        say(f"{entries} could not be counted: set aside as dead letters; see likes dead-letters")
        raise typer.Exit(Code.PARTLY)
