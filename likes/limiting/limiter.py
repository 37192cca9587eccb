"""A rate limit that several processes share: each decides at once by what it knows, and tells Redis meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from zlib import crc32

from likes.buffer.keys import shard_keys
from likes.buffer.scripts import use
from likes.deadline import Deadline
from likes.errors import LikesError
from likes.limiting.allowances import Allowances, Verdict
from likes.posting.steps import Send, Steps

TELL_SECONDS = 0.25  # how long Redis may take to answer before each process goes by what it knows alone
BLIND_SECONDS = 1.0  # and for how long it does


class RateLimiter:
    """Lets each client pass `requests` times in `seconds`. For one event loop.

    A request that passes costs nothing but its share of one script call, which tells of all that passed since the one
    before was answered. Until then a process does not know what others let pass: with n of them a client may get
    n * (1 + requests // 50) requests too many, which it pays back, as Redis counts them. While Redis does not answer,
    each process goes by what it let pass itself.

    run: carries out steps.
    """

    def __init__(
        self,
        requests: int,
        seconds: float,
        *,
        namespace: str,
        shards: int,
        run: Callable[[Steps[dict[str, float]]], Awaitable[dict[str, float]]],
    ) -> None:
        self.allowances = Allowances(requests, seconds)
        self._namespace = namespace
        self._shards = shards
        self._run = run
        self._telling: asyncio.Task[None] | None = None
        self._blind_until = 0.0

    def now(self, client: str) -> Verdict | None:
        """May this client pass now? None if only `verdict` can say. To be called on the event loop."""
        now = time.monotonic()
        verdict = self.allowances.take(client, now, blindly=now < self._blind_until)
        self._tell_if_due(now)
        return verdict

    async def verdict(self, client: str) -> Verdict:
        """May this client pass now?"""
        while (verdict := self.now(client)) is None:
            if self._telling is not None:
                await asyncio.wait([self._telling])
        return verdict

    async def close(self) -> None:
        """Wait until Redis has been told."""
        if self._telling is not None:
            await asyncio.wait([self._telling])

    def _tell_if_due(self, now: float) -> None:
        if self._telling is None and self.allowances.untold and now >= self._blind_until:
            self._telling = asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        await asyncio.sleep(0)  # by then all that pass in this turn of the loop have
        told, heard = self.allowances.tell(), dict[str, float]()
        try:
            heard = await self._run(self._steps(told))
        except LikesError:
            pass  # as no answer
        finally:
            now = time.monotonic()
            for client in told:
                if client in heard:
                    self.allowances.hear(client, heard[client], now)
                else:
                    self.allowances.hear_nothing(client)
                    self._blind_until = now + BLIND_SECONDS
            self._telling = None
        self._tell_if_due(now)

    def _steps(self, told: Mapping[str, float]) -> Steps[dict[str, float]]:
        by_shard: dict[int, dict[str, float]] = {}
        for client, ahead in told.items():
            by_shard.setdefault(crc32(client.encode()) % self._shards, {})[client] = ahead
        calls = [use(shard_keys(self._namespace, shard), some) for shard, some in by_shard.items()]
        heard: dict[str, float] = {}
        for reply in (yield Send(calls, Deadline(TELL_SECONDS))):
            if not isinstance(reply, LikesError):
                heard |= reply
        return heard


def client_id(*names: str) -> str:
    """What a client is called, which tells nobody who it is: 32 hexadecimal digits."""
    return sha256("\0".join(names).encode("utf-8", "backslashreplace")).hexdigest()[:32]
