"""`likes serve`: the HTTP API and the page."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from cli.options import flags_of, is_verbose, settings_of
from cli.worker import worker

NEEDED = ("fastapi", "uvicorn", "httptools", "prometheus_client")  # the extra `http`

WithWorker = Annotated[bool, typer.Option("--with-worker", help="Flush, too: a worker is one of its processes.")]
Listening = Annotated[int, typer.Argument(hidden=True)]


def serve(context: typer.Context, *, with_worker: WithWorker = False) -> None:
    """Serve likes over HTTP, until SIGTERM or Ctrl-C: then what is under way is answered first.

    SIGHUP replaces its processes one after the other, without a failed request. One that dies is started again.

    $ likes serve
    $ likes serve --with-worker
    $ likes serve --port 8000 --processes 2
    """
    from likes import log_lines
    from likes.errors import LikesError

    settings = settings_of(context)
    if any(find_spec(package) is None for package in NEEDED):
        raise LikesError("likes serve needs some more packages: pip install 'likes[http]'")
    log_lines.configure(settings.log_format, verbose=is_verbose(context))
    from likes.api.serving import serve as run

    raise typer.Exit(run(settings, flags_of(context), with_worker=with_worker))


def serve_process(context: typer.Context, listening: Listening) -> None:
    """Serve on the listening socket of this number: one of the processes of `likes serve`."""
    from likes import log_lines

    settings = settings_of(context)
    log_lines.configure(settings.log_format, verbose=is_verbose(context))
    from likes.api.serving.process import run

    run(settings, listening)


def serve_worker(context: typer.Context) -> None:
    """The worker of `likes serve`."""
    from likes.api.serving import lifeline

    lifeline.hold()
    lifeline.say_ready()
    worker(context)
