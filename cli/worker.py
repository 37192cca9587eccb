"""`likes worker`: flush on the interval."""

from __future__ import annotations

import typer

from cli.options import is_verbose, settings_of


def worker(context: typer.Context) -> None:
    """Flush every five minutes, or when --flush-at-items are pending, until SIGTERM or Ctrl-C; then once more.

    It waits for servers that are away, and says so once. Several workers may run: they share the shards. If one is
    killed, the next flush goes on where it was; nothing is lost or counted twice. The settings that matter here:
    --interval, --flush-at-items, --flush-threads, --batch-items, --lease-seconds, --ledger-retention-days and
    --log-format.

    $ likes worker
    $ likes worker --interval 10 --log-format json
    """
    from worker.run import run

    raise typer.Exit(run(settings_of(context), verbose=is_verbose(context)))
