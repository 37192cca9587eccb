"""`likes serve`: the HTTP API and the page."""

from __future__ import annotations

import typer

from cli.options import is_verbose, settings_of


def serve(context: typer.Context) -> None:
    """Serve likes over HTTP, until SIGTERM or Ctrl-C.

    $ likes serve
    $ likes serve --http-port 8000
    """
    from likes import log_lines

    settings = settings_of(context)
    log_lines.configure(settings.log_format, verbose=is_verbose(context))
    from likes.api.serving import serve as run

    run(settings)
