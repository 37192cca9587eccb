"""`likes dead-letters`: the entries that could not be counted, and what is decided about them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.deciding import (
    HIGHEST_ID,
    By,
    DryRun,
    EveryOne,
    Ids,
    Note,
    check_choice,
    check_line,
    decision_of,
    engine_of,
)
from cli.groups import ListFirst
from cli.options import Json, prose, settings_of
from cli.outcomes import Told, tell
from cli.output import as_json, as_pairs, as_table, rows_as_json
from likes.errors import InvalidInput, LikesError

if TYPE_CHECKING:
    from likes.sql.applying import Outcome
    from likes.sql.letters import Letter, Wanted
    from likes.sql.resolving import Resolving

Epoch = Annotated[str | None, typer.Option("--epoch", metavar="EPOCH", help="Of this epoch only.")]
Item = Annotated[str | None, typer.Option("--item", metavar="ITEM", help="Of this item only.")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="With this in their reason only.")]

COLUMNS = ["id", "at", "shard", "epoch", "seq", "counter", "item", "delta", "reason"]
DECIDED = ["resolved_at", "resolved_by", "resolution"]
ABOUT = """
Entries that were taken out of Redis and could not be counted, kept until somebody decides. Without a command: list.
"""

app = typer.Typer(cls=ListFirst, help=prose(ABOUT))


def list_open(
    context: typer.Context,
    resolved: Annotated[bool, typer.Option("--all", help="Those that are resolved, too.")] = False,
    epoch: Epoch = None,
    item: Item = None,
    reason: Reason = None,
    json: Json = False,
) -> None:
    """List those that are open, the oldest first.

    $ likes dead-letters
    $ likes dead-letters list --all --item video:42 --json
    """
    from likes.sql.letters import letters

    wanted = _wanted(epoch, item, reason)._replace(resolved=resolved)
    found = letters(engine_of(context), settings_of(context).prefix, wanted)
    if json:
        rows_as_json(map(fields, found))
    else:
        as_table(COLUMNS + DECIDED if resolved else COLUMNS, (letter._asdict() for letter in found))


def show(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID", min=1, max=HIGHEST_ID, show_default=False)],
    json: Json = False,
) -> None:
    """Show all there is to know of one, and what would become of it if it were applied.

    $ likes dead-letters show 17
    """
    resolving = _resolving(context, None, "", dry_run=True)
    resolving.require([number])
    (outcome,) = resolving.apply([number], choose=True)
    said = {**fields(outcome.letter), "if_applied": outcome.words, "would_close": list(outcome.closed)}
    if json:
        as_json(said)
        return
    raw = outcome.letter.raw
    said |= {"raw": None if raw is None else repr(raw)[2:-1], "would_close": ", ".join(map(str, outcome.closed))}
    as_pairs({name.replace("_", " "): value for name, value in said.items()})


def apply(
    context: typer.Context,
    ids: Ids = None,
    everything: EveryOne = False,
    epoch: Epoch = None,
    item: Item = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    by: By = None,
    note: Note = "",
    json: Json = False,
) -> None:
    """Add dead letters to their totals, each once, however often that is said.

    Not where the likes may be in a total already: those of an epoch given up that was counted from since, and those
    that another dead letter holds too, of which one is applied and the others are closed. Discard those; if some likes
    are missing all the same, post them. Exit code 3: some were not applied; 1: none was.

    $ likes dead-letters apply 17 18 --by mary --note 'the total was reset'
    $ likes dead-letters apply --all --reason 'the database refused it' --dry-run
    """
    resolving = _resolving(context, by, note, dry_run=dry_run)
    chosen = _chosen(resolving, ids, _wanted(epoch, item, reason), everything=everything)
    outcomes = resolving.apply(chosen, choose=not everything)
    try:
        tell(map(_told, outcomes), "applied", each=not everything, dry_run=dry_run, json=json)
    finally:
        if not dry_run:
            _read_totals_anew(context)


def discard(
    context: typer.Context,
    ids: Ids = None,
    everything: EveryOne = False,
    epoch: Epoch = None,
    item: Item = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    by: By = None,
    note: Note = "",
    json: Json = False,
) -> None:
    """Leave dead letters uncounted for good: because they are counted already, or should not be.

    $ likes dead-letters discard 17 --note 'counted before the restore'
    $ likes dead-letters discard --all --epoch 5f0c9a1be2d37f48
    """
    resolving = _resolving(context, by, note, dry_run=dry_run)
    chosen = _chosen(resolving, ids, _wanted(epoch, item, reason), everything=everything)
    tell(map(_told, resolving.discard(chosen)), "discarded", each=not everything, dry_run=dry_run, json=json)


COMMANDS: dict[str, Callable[..., None]] = {"list": list_open, "show": show, "apply": apply, "discard": discard}
for name, command in COMMANDS.items():
    app.command(name, help=prose(command.__doc__))(command)


def fields(letter: Letter) -> dict[str, Any]:
    """What --json gives of one: `raw` in Base64, as it may be any bytes."""
    return {**letter._asdict(), "raw": None if letter.raw is None else b64encode(letter.raw).decode()}


def _told(outcome: Outcome) -> Told:
    letter = outcome.letter
    amount = "no number" if letter.delta is None else f"{letter.delta:+,}"
    which = f"dead letter {letter.id} ({letter.counter} of {letter.item}, {amount})"
    also = f"; closed {', '.join(map(str, outcome.closed))}, with the same likes" if outcome.closed else ""
    return Told(which, outcome.ok, outcome.changed, outcome.words + also, fields(letter) | {"closed": outcome.closed})


def _resolving(context: typer.Context, by: str | None, note: str, *, dry_run: bool) -> Resolving:
    from likes.sql.resolving import Resolving

    decision = decision_of(by, note, dry_run=dry_run)
    return Resolving(engine_of(context), settings_of(context).prefix, decision)


def _read_totals_anew(context: typer.Context) -> None:
    """Let no total be used that was cached before; while Redis is away, the next flush does."""
    from worker.assembly import open_flusher
    from worker.generations import agree_now

    with suppress(LikesError), open_flusher(settings_of(context)) as flusher:
        agree_now(flusher.buffer, flusher.ledger)


def _chosen(resolving: Resolving, ids: list[int] | None, wanted: Wanted, *, everything: bool) -> Iterable[int]:
    """The ids of the letters chosen. Raises InvalidInput for one that is not there."""
    check_choice(ids, everything=everything)
    if not ids:
        return resolving.open_ids(wanted)
    if any(wanted):
        raise InvalidInput("--epoch, --item and --reason choose among --all; give them or ids")
    resolving.require(ids)
    return dict.fromkeys(ids)


def _wanted(epoch: str | None, item: str | None, reason: str | None) -> Wanted:
    from likes.sql.letters import Wanted

    for option, text in {"--epoch": epoch, "--item": item, "--reason": reason}.items():
        check_line(option, text or "")
    return Wanted(epoch, item, reason)
