"""The page of the demo: `likes serve` on its servers, on a free port, for a browser to look at meanwhile."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from cli.demo.clients import last_line
from cli.demo.stage import Stage

NEEDED = ("fastapi", "uvicorn")  # of the extra
PATIENCE_SECONDS = 10.0
LOOK_AGAIN_SECONDS = 0.02


class Page:
    """The process that serves it. The demo goes on without one: then `words` say why."""

    def __init__(self, stage: Stage) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._log = stage.folder / "serve.log"
        if not all(map(find_spec, NEEDED)):
            self.words = "no page in the browser: pip install 'likes[http]'"
            return
        self._process = stage.start("serve", "--port", "0", log=self._log, in_order=True)
        address = self._address()
        self.words = f"watch it in a browser: {address}" if address else f"no page: {last_line(self._log)}"

    def stay(self) -> None:
        """Return at Ctrl-C, or when there is no page."""
        if self._process is not None:
            with suppress(KeyboardInterrupt):
                self._process.wait()

    def _address(self) -> str | None:
        """Where it serves; None if it does not."""
        until = time.monotonic() + PATIENCE_SECONDS
        while self._process and self._process.poll() is None and time.monotonic() < until:
            if address := _served_at(self._log):
                return address
            time.sleep(LOOK_AGAIN_SECONDS)
        return None


def _served_at(log: Path) -> str | None:
    for line in log.read_text(errors="replace").splitlines(keepends=True):
        if line.startswith("{") and line.endswith("\n") and (said := json.loads(line)).get("event") == "serving":
            return str(said["address"])
    return None
