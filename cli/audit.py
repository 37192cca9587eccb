"""`likes audit`: whether every like that was accepted is counted, once."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.exits import Code
from cli.options import Json, is_verbose, settings_of
from cli.output import as_json, as_pairs, as_table, line, number_of

if TYPE_CHECKING:
    from likes.reports.audit import Audit
    from likes.reports.items import ItemsAudit

SUMS = ["accepted", "applied", "in_flight", "pending", "dead_letters", "written_off", "totals"]
OPEN = ["open_incidents", "open_dead_letters"]
SHARD_COLUMNS = ["shard", "ok", "accepted", "sealed", "applied", "in_flight", "pending", "dead_letters", "written_off"]


def audit(
    context: typer.Context,
    repair: Annotated[
        bool, typer.Option("--repair", help="Put deltas that no flush would find among the pending again.")
    ] = False,
    items: Annotated[
        bool, typer.Option("--items", help="Compare each item's total with all that was ever applied to it, too.")
    ] = False,
    json: Json = False,
) -> None:
    """Compare what Redis accepted with what the database counted, and say what is off; with -v for every shard.

    What Redis accepted under its current epochs was sealed in batches or is pending; what was sealed is applied, in
    flight, a dead letter or written off by an incident; and all that was ever applied is in the totals. Likes may come
    in and be flushed meanwhile. Exit code 1: something is off.

    With --items every total is compared as well, with the ledger and with what was pruned from it: that takes a minute
    for every few million items and every hundred thousand batches.

    $ likes audit
    $ likes audit --items
    $ likes audit --json
    $ likes audit --repair
    """
    from likes.reports.audit import audit as compare
    from likes.reports.items import with_items
    from worker.assembly import open_flusher

    settings = settings_of(context)
    with open_flusher(settings) as flusher:
        flusher.require_redis()  # nothing that can be said of another one would be true
        found = compare(flusher.buffer, flusher.ledger, settings.shards, repair=repair)
        found, of_items = with_items(found, flusher.ledger) if items else (found, None)
    if json:
        as_json(asdict(found) | ({"items": fields(of_items)} if of_items else {}))
    else:
        _show(found, of_items.words if of_items else "", every_shard=is_verbose(context))
    if not found.ok:
        raise typer.Exit(Code.FAILED)


def fields(items: ItemsAudit) -> dict[str, Any]:
    """What --json gives of --items."""
    return {**asdict(items), "off": [item._asdict() for item in items.off]}


def _show(found: Audit, of_items: str, *, every_shard: bool) -> None:
    as_pairs({name.replace("_", " "): f"{getattr(found, name):,}" for name in SUMS + OPEN})
    if every_shard:
        as_table(SHARD_COLUMNS, [asdict(shard) for shard in found.shards])
    for text in (*found.problems, *found.notes, *([of_items] if of_items else ())):
        line(text)
    if repaired := sum(shard.repaired for shard in found.shards):
        line(f"{number_of(repaired, 'delta')} put among the pending again; the next flush takes them")
    line("all likes are accounted for" if found.ok else f"{number_of(len(found.problems), 'problem')} found")
