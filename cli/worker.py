"""`likes worker`: flush on the interval."""

from __future__ import annotations

import typer

from cli.exits import code_of
from cli.options import is_verbose, settings_of


def worker(context: typer.Context) -> None:
    """Flush every five minutes, or when --flush-at-items are pending, until SIGTERM or Ctrl-C; then once more.

    It waits for servers that are away, and says so now and then. Several workers may run: they share the shards. If
    one is killed, the next flush goes on where it was; nothing is lost or counted twice.

    $ likes worker
    $ likes worker --interval 10 --log-format json
    """
    from worker import events

    settings, verbose = settings_of(context), is_verbose(context)
    events.configure(settings.log_format, verbose=verbose)
    try:
        from worker.run import run

        run(settings)
    except Exception as error:  # noqa: BLE001 (told as all that the worker tells)
        events.failed(error)
        raise typer.Exit(code_of(error)) from None
