"""The data folder: where the embedded Redis and the embedded database live."""

from __future__ import annotations

import os
from pathlib import Path

from likes.errors import LikesError


def default_folder() -> Path:
    """`$XDG_DATA_HOME/likes`, else `~/.local/share/likes`; with `~` left standing where there is no home."""
    data_home = os.environ.get("XDG_DATA_HOME", "")
    return absolute(Path(data_home if os.path.isabs(data_home) else "~/.local/share", "likes"))


def absolute(path: Path) -> Path:
    """`path` made absolute. A `~` without a home stays, for `prepare` to refuse: only who uses the folder needs one."""
    expanded = Path(os.path.expanduser(path))
    return expanded if str(expanded).startswith("~") else expanded.absolute()


def prepare(path: Path) -> Path:
    """Make the folder if it is missing, for its owner only; an existing one keeps its permissions.

    Returns its absolute path. Raises LikesError if nothing can be written in it.
    """
    folder = absolute(path)
    if str(folder).startswith("~"):
        raise LikesError(f"data folder {folder}: there is no such home; set HOME, or name another in LIKES_DATA_DIR")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError("no permission to write in it")
    except (OSError, ValueError) as error:
        raise refused(folder, error) from None
    return folder


def refused(folder: Path, error: Exception) -> LikesError:
    """The error for a folder that cannot be used, in one line that says what to do."""
    reason = getattr(error, "strerror", None) or str(error)
    return LikesError(f"data folder {folder} cannot be used: {reason}; fix that, or name another in LIKES_DATA_DIR")
