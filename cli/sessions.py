"""`likes sessions`: a user's sessions, and ending them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.exits import say
from cli.options import Json, prose, settings_of
from cli.output import as_json, as_table, line, number_of, rows_as_json

if TYPE_CHECKING:
    from likes.session_store import SessionStore
    from likes.sessions.session import Session

COLUMNS = ["id", "created_at", "last_seen", "hits", "expires_at"]
ABOUT = """
The sessions of a user, in Redis. What was to be kept of those that ended is in the table likes_sessions.
"""

User = Annotated[str, typer.Argument(metavar="USER", help="Whose.", show_default=False)]

app = typer.Typer(no_args_is_help=True, help=prose(ABOUT))


def list_open(context: typer.Context, user: User, json: Json = False) -> None:
    """List the sessions of a user that are not over, the newest first. The id is the SHA-256 of the token.

    $ likes sessions list mary
    $ likes sessions list mary --json
    """
    with _store(context) as store:
        found = [_fields(session) for session in store.of_user(user)]
    if json:
        rows_as_json(found)
    else:
        as_table(COLUMNS, found)


def revoke(context: typer.Context, user: User, json: Json = False) -> None:
    """End all sessions of a user, at once and for good. What was to be kept of them goes to the database.

    $ likes sessions revoke mary
    """
    with _store(context) as store:
        ended = store.revoke(user)
        trouble = store.trouble
    if json:
        as_json({"user": user, "ended": ended})
    else:
        line(f"ended {number_of(ended, 'session')}")
    if trouble:
        say("They are over; what was to be kept of them waits in Redis until a worker finds the database in order.")
        raise trouble


COMMANDS: dict[str, Callable[..., None]] = {"list": list_open, "revoke": revoke}
for name, command in COMMANDS.items():
    app.command(name, help=prose(command.__doc__))(command)


@contextmanager
def _store(context: typer.Context) -> Iterator[SessionStore]:
    from likes.session_store import SessionStore

    with SessionStore.from_settings(settings_of(context)) as store:
        yield store


def _fields(session: Session) -> dict[str, Any]:
    return {
        "id": session.place.digest,
        "created_at": session.created_at,
        "last_seen": session.last_seen,
        "hits": session.hits,
        "expires_at": session.expires_at,
    }
