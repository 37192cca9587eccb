"""A worker that is let go on one external call at a time, so that a test chooses what happens in between."""

from __future__ import annotations

from collections.abc import Callable
from threading import Semaphore, Thread
from typing import Any, Self

from sqlalchemy import Engine

from tests.rig import Rig
from tests.seams import SteppedTransactions, TappedLink

PATIENCE_SECONDS = 30


class Killed(BaseException):
    """Ends a stepped worker where it stands."""


class SteppedWorker:
    """One flush of a worker of its own, standing still before each round trip to Redis and each SQL transaction.

    `at` is the name of the call it stands before, None when the flush is over.
    """

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.at: str | None = None
        self.error: Exception | None = None
        self._go, self._stands = Semaphore(0), Semaphore(0)
        self._killed = False
        self._transactions: SteppedTransactions | None = None
        self._thread = Thread(target=self._flush, daemon=True)
        self._thread.start()
        self._wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.at is not None:
            self.kill()

    def step(self) -> None:
        """Make one call, and stand before the next."""
        self._go.release()
        self._wait()

    def go_until(self, call: str) -> Self:
        """Stand before the next call of this name."""
        while self.at != call:
            assert self.at is not None, f"the flush never came to {call}"
            self.step()
        return self

    def finish(self) -> None:
        """Go on to the end of the flush."""
        while self.at is not None:
            self.step()
        if self.error:
            raise self.error

    def kill(self) -> None:
        """Die before the call it stands at."""
        self._killed = True
        self._go.release()
        self._thread.join(PATIENCE_SECONDS)
        self.at = None

    def _wait(self) -> None:
        assert self._stands.acquire(timeout=PATIENCE_SECONDS), "the worker hangs"

    def _stand(self, call: str) -> None:
        if self._killed:
            raise Killed
        self.at = call
        self._stands.release()
        self._go.acquire()
        if self._killed:
            raise Killed

    def _around(self, call: str, make: Callable[[], Any]) -> Any:
        if not (self._transactions and self._transactions.inside):
            self._stand(call)
        return make()

    def _tap(self, engine: Engine) -> None:
        self._transactions = SteppedTransactions(engine, self._stand)

    def _flush(self) -> None:
        try:
            with self.rig.new_worker(lambda link: TappedLink(link, self._around), self._tap) as worker:
                worker.flush(range(self.rig.shards))
        except Killed:
            return
        except Exception as error:
            self.error = error
        self.at = None
        self._stands.release()
