"""What the commands by which an operator decides have in common: about which ones, who decides, and where."""

from __future__ import annotations

import getpass
import os
import unicodedata
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import settings_of
from likes.errors import InvalidInput
from likes.items import shorten

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from likes.sql.decision import Decision

HIGHEST_ID = 2**63 - 1
LONGEST_NAME = 255  # bytes

Ids = Annotated[
    list[int] | None, typer.Argument(metavar="ID…", min=1, max=HIGHEST_ID, help="Which ones.", show_default=False)
]
EveryOne = Annotated[bool, typer.Option("--all", help="All open ones.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who decides; by default the user who runs this.")]
Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="Why; kept with the decision.", show_default=False)]


def check_choice(ids: list[int] | None, *, everything: bool) -> None:
    """Raise InvalidInput unless either ids or all are chosen."""
    if bool(ids) == everything:
        raise InvalidInput("give ids or --all, not both" if ids else "say which: ids, or --all")


def engine_of(context: typer.Context) -> Engine:
    """The database, whose tables are as this version needs them."""
    from likes.connect import Places
    from likes.sql.schema import require_head

    engine = Places.from_settings(settings_of(context)).open_database()
    require_head(engine)
    return engine


def decision_of(by: str | None, note: str, *, dry_run: bool) -> Decision:
    """A decision of this moment. Raises InvalidInput for a name or a note that is none."""
    from likes.sql.decision import Decision

    name = check_line("--by", _user() if by is None else by)
    if not 0 < len(name.encode()) <= LONGEST_NAME:
        raise InvalidInput(f"--by {shorten(ascii(name))} is not a name of 1 to {LONGEST_NAME} bytes")
    return Decision.now(name, check_line("--note", note), dry_run=dry_run)


def check_line(option: str, text: str) -> str:
    """`text`, or InvalidInput for bytes that are no UTF-8, and for control characters."""
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise InvalidInput(f"{option} {shorten(ascii(text))} is not text of one line")
    return text


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        return f"uid {os.getuid()}"
