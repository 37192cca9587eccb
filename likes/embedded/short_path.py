"""A name short enough for a socket: the kernel refuses more than about a hundred bytes."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from likes.errors import LikesError

LIMIT = 100  # bytes; Linux allows 107, macOS 103


def short_path(path: Path) -> Path:
    """`path` if it is short enough for a socket, else the same file through a link to its folder.

    Only the name is short: the socket stays in its folder, so whoever comes with another link finds the same one.
    """
    if len(os.fsencode(path)) <= LIMIT:
        return path
    folder = path.parent.resolve()
    link = _private_folder() / sha256(os.fsencode(folder)).hexdigest()[:16]
    with suppress(FileExistsError):
        link.symlink_to(folder)
    return link / path.name


def _private_folder() -> Path:
    """A folder in /tmp where nobody else can put a link of theirs in place of ours."""
    folder = Path("/tmp", f"likes-{os.geteuid()}")  # noqa: S108 (short, and checked below)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise LikesError(
            f"{folder} is not a folder that only you can use; remove it, or name a shorter path in LIKES_DATA_DIR"
        )
    return folder
