"""Worker processes that die at a chosen external call.

Starting Python for each of hundreds of deaths takes too long, so one process that has everything imported and nothing
connected forks a worker for each line it reads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from likes.sql.engine import open_engine
from tests.rig import Rig
from tests.seams import TappedLink, tap_statements

SURVIVED, DIED, FAILED = 0, 42, 43


class Mortals:
    """Runs flushes in processes of their own that die before or after their n-th external call.

    program: the module that forks them.
    """

    def __init__(self, program: str = "tests.crash.mortal") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", program],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            process.terminate()

    def dies(self, rig: Rig, moment: str, call: int) -> bool:
        """Flush until the death: `before` or `after` external call number `call`; False if the flush ended earlier."""
        return self.obeys([rig.places.redis, rig.places.database, rig.shards, rig.batch_items, moment, call])

    def obeys(self, order: list[Any]) -> bool:
        """True if one that was given this order died; False if it was done before."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        ended = int(self._process.stdout.readline())
        assert ended in (SURVIVED, DIED), "the worker failed instead; its traceback is above"
        return ended == DIED


class Fate:
    """Death at the external call number `last`: every round trip, statement and commit is one."""

    def __init__(self, moment: str, last: int) -> None:
        self._calls = 0
        self._moment = moment
        self._last = last

    def around(self, _name: str, make: Callable[[], Any]) -> Any:
        """Make a call."""
        self.before()
        result = make()
        self.after()
        return result

    def before(self) -> None:
        """A call is about to be made."""
        self._calls += 1
        self._die("before")

    def after(self) -> None:
        """A call was made."""
        self._die("after")

    def _die(self, moment: str) -> None:
        if (self._calls, self._moment) == (self._last, moment):
            os._exit(DIED)


def flush_and_die(redis_url: str, database_url: str, shards: int, batch_items: int, moment: str, last: int) -> None:
    """Flush until its fate."""
    around = Fate(moment, last).around
    rig = Rig(redis_url, open_engine(database_url, timeout=10), shards=shards, batch_items=batch_items)
    with rig.new_worker(lambda link: TappedLink(link, around), lambda engine: tap_statements(engine, around)) as worker:
        worker.flush(range(shards))


def main(act: Callable[..., None]) -> None:
    """Fork one for each order read, which acts upon it."""
    for driver in ("psycopg", "pymysql", "sqlite3"):
        import_module(driver)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                act(*json.loads(line))
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(FAILED)
            os._exit(SURVIVED)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main(flush_and_die)
