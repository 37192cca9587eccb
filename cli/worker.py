"""`likes worker`: flush on the interval."""

from __future__ import annotations

from typing import NoReturn

import typer

from cli.exits import code_of
from cli.options import asked_for, is_verbose, settings_of
from likes.errors import SettingsError


def worker(context: typer.Context) -> None:
    """Flush every five minutes, or when --flush-at-items are pending, until SIGTERM or Ctrl-C; then once more.

    It waits for servers that are away, and says so now and then. Several workers may run: they share the shards. If
    one is killed, the next flush goes on where it was; nothing is lost or counted twice.

    $ likes worker
    $ likes worker --interval 10 --log-format json
    """
    from likes import log_lines

    verbose = is_verbose(context)
    try:
        settings = settings_of(context)
    except SettingsError as error:
        if asked_for(context, "log_format") != "json":
            raise
        log_lines.configure("json", verbose=verbose)
        _fail(error)
    log_lines.configure(settings.log_format, verbose=verbose)
    try:
        from worker.run import run

        run(settings)
    except Exception as error:  # noqa: BLE001 (told as all that the worker tells)
        _fail(error)


def _fail(error: Exception) -> NoReturn:
    from worker import events

    events.failed(error)
    raise typer.Exit(code_of(error)) from None
