"""`likes embedded`: the Redis that is used where none is named."""

from __future__ import annotations

from dataclasses import asdict

import typer

from cli.options import Json, settings_of
from cli.output import as_json, as_pairs, line

app = typer.Typer(no_args_is_help=True, help="The Redis that is used where none is named.")


@app.command()
def status(context: typer.Context, json: Json = False) -> None:
    """Show whether the embedded Redis runs, where, and how large it is.

    $ likes embedded status
    $ likes embedded status --data-dir /srv/likes --json
    """
    from likes import embedded

    status = asdict(embedded.status(settings_of(context).data_dir))
    if json:
        as_json(status)
    else:
        as_pairs({name.replace("_", " "): value for name, value in status.items()})


@app.command()
def stop(context: typer.Context) -> None:
    """End the embedded Redis; what it holds stays on disk, and the next command that needs it starts it again.

    $ likes embedded stop
    """
    from likes import embedded

    stopped = embedded.stop(settings_of(context).data_dir)
    line("stopped" if stopped else "it was not running")
