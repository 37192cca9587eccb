"""The version before this one, out of the history: its files in a folder, run with the libraries of this one."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from pathlib import Path

from tests.shell import CHECKOUT, Shell

COMMIT = "372d3815f4ae004c50989b615ead52674fc4a05d"  # the last one that knew no HTTP, no sessions and no cached totals
PARTS = ("likes", "worker", "cli", "alembic", "pyproject.toml", "tests/__init__.py")


class NoHistoryError(Exception):
    """This checkout cannot tell what the version before was."""


def unpack(folder: Path) -> Path:
    """Put the version before into the folder. Raises NoHistoryError where a checkout has none or is shallow."""
    if not (CHECKOUT / ".git").exists() or _git("rev-parse", "--is-shallow-repository").strip() != b"false":
        raise NoHistoryError(f"the version before this one: {CHECKOUT} has no git history, or only its end")
    files = _git("archive", "--format=zip", COMMIT, *PARTS)
    with zipfile.ZipFile(io.BytesIO(files)) as archive:
        archive.extractall(folder)
    shutil.copy(CHECKOUT / "tests/warm.py", folder / "tests")  # what forks it, as it is asked today
    return folder


def _git(*words: str) -> bytes:
    command = ["git", "-c", "safe.directory=*", *words]
    try:
        return subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True).stdout
    except FileNotFoundError:
        raise NoHistoryError("the version before this one: there is no git") from None


class Previous(Shell):
    """Calls `likes` of the version before, in the same folder and with the same settings as another shell."""

    def __init__(self, tree: Path, beside: Shell) -> None:
        super().__init__(beside.folder)
        self.settings = beside.settings
        self.checkout = tree
