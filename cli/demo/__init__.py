"""`likes demo`: real YouTube likes through the whole machine, with the worker killed in the middle of a flush.

    4 clients ──like(), add()──▶ Redis ──worker, flushing every second──▶ SQLite     all in a temporary folder
    (processes)                              ▲ SIGKILL, twice                        that is gone at the end

`scene` tells what happens, in order; `play` sets it up and judges it. `source` is what really happened on YouTube,
`client` a process that posts its share of it; `clients` and `worker` are the processes as the demo sees them, `stage`
the folder they live in, `page` what serves a page of it. `gauge` reads where the likes are, `screen` shows it, as a
`picture` or as `lines`. At the end `reckoning` compares the database with the source, and `report` shows what came
out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import Given, silence_libraries


def demo(
    context: typer.Context,
    seconds: Annotated[float, typer.Option(min=5, max=3600, metavar="S", help="How long the replay takes.")] = 15.0,
    serve: Annotated[bool, typer.Option("--serve", help="Keep the page up afterwards, until Ctrl-C.")] = False,
) -> None:
    """Watch it work: 40 days of real YouTube likes in 15 seconds.

    Clients post the likes while a worker flushes them into a database and is killed in the middle of it. At the end
    every count is compared with the source. All of it happens in a temporary folder; your own Redis and database are
    not touched. With likes[http] installed, a page shows it in a browser meanwhile.

    $ likes demo
    $ likes demo --seconds 40
    $ likes demo --serve
    """
    given = context.find_object(Given)
    if given and any(value is not None for value in given.flags.values()):
        raise typer.BadParameter("the demo has servers of its own and takes no settings", ctx=context)
    from cli.demo.play import play

    silence_libraries(context)
    if not play(seconds, serve=serve):
        raise typer.Exit(1)


def demo_client(folder: Path, style: str, share: int, of: int, seconds: float) -> None:
    """Post a share of the likes of a demo, which starts this."""
    from cli.demo.client import post_share

    post_share(folder, style, share, of, seconds)
