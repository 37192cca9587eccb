"""`likes totals`: what the database holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import COUNTER, LONGEST, Counter, Json, settings_of
from cli.output import as_csv, as_table, rows_as_json
from likes.errors import InvalidInput
from likes.items import check_counter, check_item

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from likes.sql.totals import Total

COLUMNS = ["item", "counter", "total", "updated_at"]
SHOWN = 20


def totals(
    context: typer.Context,
    items: Annotated[list[str] | None, typer.Argument(metavar="ITEM", help="Which items.", show_default=False)] = None,
    top: Annotated[
        int | None, typer.Option("--top", min=1, max=LONGEST, metavar="N", help="The N largest; 20 by default.")
    ] = None,
    counter: Counter = COUNTER,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV: all items, by name, if there is no --top.")] = False,
    json: Json = False,
) -> None:
    """Show what the database holds, without what Redis has still to hand over.

    $ likes totals --top 10
    $ likes totals video:42 video:7
    $ likes totals --csv > totals.csv
    """
    from likes.connect import Places

    if items and top:
        raise InvalidInput("give items or --top, not both")
    if csv and json:
        raise InvalidInput("give --csv or --json, not both")
    check_counter(counter)
    for item in items or ():
        check_item(item)
    engine = Places.from_settings(settings_of(context)).open_database()
    rows: Iterable[dict[str, Any]] = (total._asdict() for total in _read(engine, items, top, counter, every=csv))
    if csv:
        as_csv(COLUMNS, rows)
    elif json:
        rows_as_json(rows)
    else:
        as_table(COLUMNS, rows)


def _read(engine: Engine, items: list[str] | None, top: int | None, counter: str, *, every: bool) -> Iterable[Total]:
    from likes.sql.totals import all_totals, largest_totals, totals_of

    if items:
        return totals_of(engine, items, counter)
    if every and top is None:
        return all_totals(engine, counter)
    return largest_totals(engine, counter, top or SHOWN)
