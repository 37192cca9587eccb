"""`likes history`: the ledger."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

import typer

from cli.options import LONGEST, Json, settings_of
from cli.output import as_table, rows_as_json
from likes.errors import InvalidInput
from likes.items import MAX_SHARDS

COLUMNS = ["applied_at", "shard", "seq", "items", "delta", "duration_ms", "worker"]


def history(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, max=LONGEST, metavar="N", help="How many batches.")] = 20,
    shard: Annotated[
        int | None, typer.Option("--shard", min=0, max=MAX_SHARDS - 1, metavar="N", help="Of this shard only.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the batches applied to the database, newest first.

    $ likes history
    $ likes history --limit 100 --shard 3 --json
    """
    from likes.connect import Places
    from likes.sql.history import newest_batches
    from likes.sql.ledger import Ledger

    settings = settings_of(context)
    engine = Places.from_settings(settings).open_database()
    rows = [batch._asdict() for batch in newest_batches(engine, settings.prefix, limit, shard)]
    if not rows and shard is not None:
        _require_shard(shard, {*range(settings.shards), *Ledger(engine, settings.prefix, worker="").cursors()})
    if json:
        rows_as_json(rows)
    else:
        as_table(COLUMNS, rows)


def _require_shard(shard: int, shards: Collection[int]) -> None:
    if shard not in shards:
        raise InvalidInput(f"there is no shard {shard}: the shards are 0 to {max(shards)}")
