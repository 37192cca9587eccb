"""Valkey whose clock can be set, and which lives on when its append-only file may not grow, as on a full disk."""

from __future__ import annotations

import resource

from tests.chaos.clock import Clock
from tests.servers import RedisServer

# A signal that is ignored stays so in the program that takes the shell's place: writing then fails, as on a full disk.
_LIVE_ON = 'trap "" XFSZ; exec "$@"'


class BreakableRedis(RedisServer):
    """One of those. No rewrite of its append-only file: faults copy it."""

    def __init__(self, binary: str, *options: str) -> None:
        super().__init__(binary, "--auto-aof-rewrite-percentage", "0", "--repl-diskless-sync-delay", "0", *options)
        self.clock = Clock(self.folder / "clock")

    def command(self) -> list[str]:
        variables = [f"{name}={value}" for name, value in self.clock.environment.items()]
        return ["/bin/sh", "-c", _LIVE_ON, "sh", "env", *variables, *super().command()]

    def let_files_grow(self, by: int | None) -> None:
        """So many bytes more than the longest has now; None: as long as they like."""
        longest = max(path.stat().st_size for path in (self.folder / "appendonlydir").iterdir())
        most = resource.RLIM_INFINITY if by is None else longest + by
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
