"""The API, and a worker with a clock of its own, as processes."""

from __future__ import annotations

from tests.chaos.clock import Clock
from tests.chaos.stand import Stand
from tests.running_worker import Running, RunningWorker
from tests.shell import Shell


class Serving(RunningWorker):
    """`likes serve`, forked."""

    def __init__(self, stand: Stand, port: int = 0) -> None:
        settings = {**stand.places, "http_port": port}
        Running.__init__(self, stand.shell, "serve", **settings)

    @property
    def address(self) -> str:
        """Where it is, once it serves."""
        return str(self.wait_for("serving")["address"])


class ClockedShell(Shell):
    """Starts processes that go by a clock of their own."""

    def __init__(self, like: Shell, clock: Clock) -> None:
        super().__init__(like.folder, **like.settings)
        self._clock = clock

    def environment(self, **settings: object) -> dict[str, str]:
        return {**super().environment(**settings), **self._clock.environment}
