"""Where the demo plays: a temporary folder with an embedded Redis, SQLite and processes, of which nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from likes import embedded
from likes.config.settings import ENV_PREFIX
from likes.connect import Places
from likes.installation import command_line

PATIENCE_SECONDS = 12.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stage:
    """The folder and what runs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.places = Places(None, None, folder, redis_timeout=5, database_timeout=10)
        self._processes = ExitStack()

    def start(self, *words: str, log: Path, talks: bool = False, in_order: bool = False) -> subprocess.Popen[str]:
        """Start `likes words…`, its stderr in `log`; one that talks has pipes for its stdin and stdout, and one that
        ends in order, with processes of its own, is asked to before it is killed.
        """
        with shielded(), log.open("a") as stderr:
            process = subprocess.Popen(
                command_line(*words),
                cwd=self.folder,  # where no .env of the user's is read
                env=self._environment(),
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else stderr,
                stderr=stderr,
                text=True,
                start_new_session=True,  # Ctrl-C is for the demo, which ends the others
            )
            self._processes.enter_context(process)
            self._processes.callback(process.kill)
            if in_order:
                self._processes.callback(_end_in_order, process)
        return process

    def _environment(self) -> dict[str, str]:
        users = {name: value for name, value in os.environ.items() if not name.upper().startswith(ENV_PREFIX)}
        return users | {"LIKES_DATA_DIR": str(self.folder), "LIKES_LOG_FORMAT": "json"}

    def clear(self) -> None:
        """End the processes and the server, and remove the folder."""
        try:
            self._processes.close()
            embedded.stop(self.folder)
        finally:
            rmtree(self.folder)


def _end_in_order(process: subprocess.Popen[str]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE_SECONDS)


@contextmanager
def open_stage() -> Iterator[Stage]:
    """A stage with its servers running, cleared however the block ends."""
    stage = Stage(Path(mkdtemp(prefix="likes-demo-")))
    on_hangup = signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))  # a closed terminal ends it as any other
    try:
        with shielded():
            embedded.ensure_running(stage.folder)
        yield stage
    finally:
        with shielded():
            stage.clear()
        signal.signal(signal.SIGHUP, on_hangup)


@contextmanager
def shielded() -> Iterator[None]:
    """Put signals off until the block is done, so that nothing is left half started or half ended."""
    came: list[int] = []
    handlers = {number: signal.signal(number, lambda number, _: came.append(number)) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
