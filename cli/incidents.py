"""`likes incidents`: what happened to the servers that may have cost likes, and saying that somebody saw to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.deciding import By, DryRun, EveryOne, Ids, Note, check_choice, decision_of, engine_of
from cli.groups import ListFirst
from cli.options import Json, prose, settings_of
from cli.outcomes import Told, tell
from cli.output import as_table, line, rows_as_json, shown

if TYPE_CHECKING:
    from likes.sql.recorded import Recorded, Resolved

COLUMNS = ["id", "at", "kind", "shard", "exposed_from", "exposed_to", "delta", "detail"]
DECIDED = ["resolved_at", "resolved_by", "resolution"]
ABOUT = """
What happened to Redis or the database that may have cost likes, kept until somebody has seen to it. Without a command:
list.
"""

app = typer.Typer(cls=ListFirst, help=prose(ABOUT))


def list_open(
    context: typer.Context,
    resolved: Annotated[bool, typer.Option("--all", help="Those that are resolved, too.")] = False,
    json: Json = False,
) -> None:
    """List those that are open, the oldest first, with what each kind means and what to do about it.

    Likes accepted from `exposed from` to `exposed to` may be lost; a delta is how much certainly is.

    $ likes incidents
    $ likes incidents list --all --json
    """
    from likes.sql.recorded import recorded

    found = recorded(engine_of(context), settings_of(context).prefix, resolved=resolved)
    if json:
        rows_as_json(map(fields, found))
        return
    incidents = list(found)
    as_table(COLUMNS + DECIDED if resolved else COLUMNS, (incident._asdict() for incident in incidents))
    for kind in dict.fromkeys(incident.kind for incident in incidents):
        _explain(kind)


def resolve(
    context: typer.Context,
    ids: Ids = None,
    everything: EveryOne = False,
    dry_run: DryRun = False,
    by: By = None,
    note: Note = "",
    json: Json = False,
) -> None:
    """Say that somebody has seen to incidents; they are kept, with who and when, and no longer counted as open.

    $ likes incidents resolve 3 4 --note 'planned restart'
    $ likes incidents resolve --all --by mary
    """
    from likes.sql import recorded

    check_choice(ids, everything=everything)
    decision = decision_of(by, note, dry_run=dry_run)
    engine, namespace = engine_of(context), settings_of(context).prefix
    chosen = ids or [incident.id for incident in recorded.recorded(engine, namespace, resolved=False)]
    outcomes = recorded.resolve(engine, namespace, chosen, decision)
    tell(map(_told, outcomes), "resolved", each=True, dry_run=dry_run, json=json)


COMMANDS: dict[str, Callable[..., None]] = {"list": list_open, "resolve": resolve}
for name, command in COMMANDS.items():
    app.command(name, help=prose(command.__doc__))(command)


def fields(incident: Recorded) -> dict[str, Any]:
    """What --json gives of one."""
    from likes.sql.meanings import meaning_of

    return {**incident._asdict(), **meaning_of(incident.kind)._asdict()}


def _told(resolved: Resolved) -> Told:
    incident = resolved.incident
    where = "" if incident.shard is None else f" in shard {incident.shard}"
    which = f"incident {incident.id} ({incident.kind}{where}, {shown(incident.at)})"
    return Told(which, ok=True, changed=resolved.changed, words=resolved.words, fields=fields(incident))


def _explain(kind: str) -> None:
    from likes.sql.meanings import meaning_of

    meaning = meaning_of(kind)
    line(f"{kind}: {meaning.meaning}.\n  What to do: {meaning.advice}.")
