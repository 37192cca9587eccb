"""`likes`: the settings that every command takes, and the commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from typer.core import TyperGroup

from cli import cache, dead_letters, embedded, incidents, pages, sessions
from cli.adopt import adopt
from cli.arguments import settings_first
from cli.audit import audit
from cli.check import check
from cli.demo import demo, demo_client
from cli.flush import flush
from cli.get import get
from cli.history import history
from cli.migrate import migrate
from cli.options import Given, prose
from cli.output import line
from cli.post import post, unlike
from cli.reshard import reshard
from cli.serve import serve, serve_process, serve_worker
from cli.settings import SHOWN, TYPED, takes_settings
from cli.status import status
from cli.totals import totals
from cli.worker import worker

NOTES = """
Nothing needs to be set up: without --redis-url and --database-url, an embedded Redis and SQLite are used.

$ likes post video:42
$ likes get video:42
$ likes flush
$ likes totals

Settings may stand before or after the command. Each is also read from the environment and from the file .env:
--redis-url is LIKES_REDIS_URL, and of serve --port is LIKES_HTTP_PORT. An item that begins with - comes after --:

$ likes post -- -1fzGnFwz9M

Exit codes: 0 done; 1 failed, or a check found an error; 2 wrong usage; 3 done in part; 5 Redis or the database cannot
be reached; 130 and 143 after Ctrl-C and SIGTERM.
"""

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog=prose(NOTES),
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            line(f"likes {version('likes')}")
        except PackageNotFoundError:
            line("likes is not installed")
        raise typer.Exit


@app.callback()
@takes_settings
def likes(
    context: typer.Context,
    *,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more, tracebacks included.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
    **flags: str | None,
) -> None:
    """Count likes in Redis, and move them into a SQL database, each exactly once.

    Likes are added up in Redis. A flush, every five minutes or when you say so, moves the sums into the database.
    """
    context.obj = Given(flags, verbose=verbose)


COMMANDS: dict[str, list[Callable[..., None]]] = {
    "Likes": [post, unlike, get, totals, demo],
    "From Redis into the database": [worker, serve, flush, status, history],
    "Looking after it": [check, audit, migrate, adopt, reshard],
}
for panel, commands in COMMANDS.items():
    for command in commands:
        app.command(help=prose(command.__doc__), rich_help_panel=panel)(command)
app.command("demo-client", hidden=True)(demo_client)
app.command("serve-process", hidden=True)(serve_process)
app.command("serve-worker", hidden=True)(serve_worker)
app.add_typer(dead_letters.app, name="dead-letters", rich_help_panel="Looking after it")
app.add_typer(incidents.app, name="incidents", rich_help_panel="Looking after it")
app.add_typer(cache.app, name="cache", rich_help_panel="Looking after it")
app.add_typer(sessions.app, name="sessions", rich_help_panel="Looking after it")
app.add_typer(embedded.app, name="embedded", rich_help_panel="Looking after it")


def likes_with(words: Sequence[str]) -> object:
    """Run `likes` with these arguments; the exit code, if it has one to say. Raises whatever stops it."""
    arguments = settings_first(words, TYPED.values())
    command = typer.main.get_command(app)
    if isinstance(command, TyperGroup) and pages.is_asked_for(arguments):
        pages.make_fit(command, SHOWN)
    return command(arguments, prog_name="likes", standalone_mode=False)
