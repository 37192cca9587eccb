"""The processes that serve: sockets, processes, signals, limits.

    supervisor, place, child, lifeline      `likes serve` itself, and how it sees to its processes
    listening                               the socket they share
    process                                 one of them: uvicorn, and how it ends
    guard, requests, head, limits, refusals one connection: what is read of it, and for how long

The first two lines load no web framework: that is for the processes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from likes.api.exposure import check_exposure
from likes.api.serving.listening import listening
from likes.api.serving.supervisor import Commands, Supervisor
from likes.connect import Places
from likes.installation import command_line
from likes.metrics.board import VARIABLE, Board

if TYPE_CHECKING:
    from likes.config.settings import Settings


def serve(settings: Settings, flags: Sequence[str], *, with_worker: bool) -> int:
    """Serve until a signal ends it; the exit code. flags: those that make its processes have these settings, too.

    Raises LikesError, with nothing started, where it cannot listen, and where the embedded Redis cannot be started.
    """
    check_exposure(settings)
    with listening(settings) as (door, address):
        Places.from_settings(settings).redis_url()
        commands = Commands(
            process=command_line(*flags, "serve-process", str(door.fileno())),
            worker=command_line(*flags, "serve-worker") if with_worker else None,
        )
        board = Board.inherited() or Board.create()
        os.environ[VARIABLE] = str(board.file)
        return asyncio.run(Supervisor(commands, settings.http_processes, [door.fileno(), board.file], address).run())
