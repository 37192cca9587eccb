"""What the tasks of one event-loop turn add under idempotency keys, put into one round trip; each key is a call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from likes.posting.once import OncePart, Wanted


class OnceTurns:
    """Gathers what the tasks of one event loop add under idempotency keys.

    send: sends all that is wanted, and waits so many seconds for the answers.
    """

    def __init__(self, send: Callable[[Sequence[Wanted], float], Awaitable[list[OncePart]]]) -> None:
        self._send = send
        self._filling: dict[float, tuple[list[Wanted], asyncio.Future[list[OncePart]]]] = {}  # by time-out
        self._tasks: set[asyncio.Task[None]] = set()

    async def add(self, wanted: Sequence[Wanted], timeout: float) -> list[OncePart]:
        """Put it into this turn's round trip; what became of each."""
        turn = self._filling.get(timeout)
        if turn is None:
            turn = self._filling[timeout] = [], asyncio.get_running_loop().create_future()
            self._tasks.add(task := asyncio.create_task(self._send_turn(timeout, *turn)))
            task.add_done_callback(self._tasks.discard)
        together, done = turn
        first = len(together)
        together += wanted
        parts = await asyncio.shield(done)  # a caller that is cancelled must not take the others with it
        return parts[first : first + len(wanted)]

    async def finish(self) -> None:
        """Wait for what is being sent."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _send_turn(self, timeout: float, wanted: list[Wanted], done: asyncio.Future[list[OncePart]]) -> None:
        try:
            await asyncio.sleep(0)  # by then every call of this turn has joined
            del self._filling[timeout]
            done.set_result(await self._send(wanted, timeout))
        except Exception as error:  # noqa: BLE001 (handed to every caller)
            done.set_exception(error)
            done.exception()  # else asyncio warns of it where every caller has gone
        finally:
            done.cancel()  # does nothing to one that is done
