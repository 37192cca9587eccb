"""`likes`: the settings that every command takes, and the commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cli import dead_letters, embedded, incidents, pages
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
--redis-url is LIKES_REDIS_URL. An item that begins with - comes after --:

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


def _setting(metavar: str, about: str) -> Any:
    return typer.Option(metavar=metavar, help=about, show_default=False, rich_help_panel="Settings")


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            line(f"likes {version('likes')}")
        except PackageNotFoundError:
            line("likes is not installed")
        raise typer.Exit


@app.callback()
def likes(
    context: typer.Context,
    redis_url: Annotated[str | None, _setting("URL", "redis://, rediss:// (TLS) or unix://")] = None,
    redis_name: Annotated[
        str | None, _setting("NAME", "how the database knows this Redis; default: from its URL")
    ] = None,
    database_url: Annotated[
        str | None, _setting("URL", "postgresql://, mysql://, mariadb:// or sqlite:///FILE")
    ] = None,
    data_dir: Annotated[str | None, _setting("FOLDER", "where the embedded Redis and SQLite live")] = None,
    prefix: Annotated[str | None, _setting("TEXT", "how all keys in Redis begin; default likes")] = None,
    shards: Annotated[
        str | None, _setting("N", "slices the items are spread over, the same everywhere; default 16")
    ] = None,
    interval: Annotated[str | None, _setting("SECONDS", "time between scheduled flushes; default 300")] = None,
    flush_at_items: Annotated[
        str | None, _setting("N", "flush early when so many items are pending; default 100000")
    ] = None,
    batch_items: Annotated[str | None, _setting("N", "items in a batch, at most; default 250")] = None,
    flush_threads: Annotated[str | None, _setting("N", "threads that flush side by side; default 2")] = None,
    durability: Annotated[str | None, _setting("none", "what Redis confirms before a batch is applied")] = None,
    lease_seconds: Annotated[
        str | None, _setting("SECONDS", "how long a worker has a shard to itself; default 30")
    ] = None,
    redis_timeout: Annotated[str | None, _setting("SECONDS", "how long a call to Redis may take; default 5")] = None,
    database_timeout: Annotated[str | None, _setting("SECONDS", "how long a transaction may take; default 10")] = None,
    ledger_retention_days: Annotated[str | None, _setting("DAYS", "how long the history is kept; default 30")] = None,
    log_format: Annotated[str | None, _setting("text|json", "how the worker logs; default text")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more, tracebacks included.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Count likes in Redis, and move them into a SQL database, each exactly once.

    Likes are added up in Redis. A flush, every five minutes or when you say so, moves the sums into the database.
    """
    context.obj = Given({name: context.params[name] for name in SETTINGS}, verbose=verbose)


SETTINGS = [name for name in signature(likes).parameters if name not in ("context", "verbose", "show_version")]

# Those that a command's own page shows.
SHOWN = {"worker": ["interval", "flush_at_items", "flush_threads", "batch_items", "lease_seconds", "log_format"]}

COMMANDS: dict[str, list[Callable[..., None]]] = {
    "Likes": [post, unlike, get, totals, demo],
    "From Redis into the database": [worker, flush, status, history],
    "Looking after it": [check, audit, migrate, adopt],
}
for panel, commands in COMMANDS.items():
    for command in commands:
        app.command(help=prose(command.__doc__), rich_help_panel=panel)(command)
app.command("demo-client", hidden=True)(demo_client)
app.add_typer(dead_letters.app, name="dead-letters", rich_help_panel="Looking after it")
app.add_typer(incidents.app, name="incidents", rich_help_panel="Looking after it")
app.add_typer(embedded.app, name="embedded", rich_help_panel="Looking after it")


def likes_with(words: Sequence[str]) -> object:
    """Run `likes` with these arguments; the exit code, if it has one to say. Raises whatever stops it."""
    arguments = settings_first(words, SETTINGS)
    command = typer.main.get_command(app)
    if isinstance(command, TyperGroup) and pages.is_asked_for(arguments):
        pages.make_fit(command, SHOWN)
    return command(arguments, prog_name="likes", standalone_mode=False)
