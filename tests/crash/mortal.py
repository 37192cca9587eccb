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
    """Runs flushes in processes of their own that die before or after their n-th external call."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.mortal"],
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
        order = [rig.places.redis, rig.places.database, rig.shards, rig.batch_items, moment, call]
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        ended = int(self._process.stdout.readline())
        assert ended in (SURVIVED, DIED), "the worker failed instead; its traceback is above"
        return ended == DIED


def flush_and_die(redis_url: str, database_url: str, shards: int, batch_items: int, moment: str, last: int) -> None:
    """Flush, and die at the external call number `last`: every round trip, statement and commit is one."""
    calls = 0

    def around(name: str, make: Callable[[], Any]) -> Any:
        nonlocal calls
        calls += 1
        if (calls, moment) == (last, "before"):
            os._exit(DIED)
        result = make()
        if (calls, moment) == (last, "after"):
            os._exit(DIED)
        return result

    rig = Rig(redis_url, open_engine(database_url, timeout=10), shards=shards, batch_items=batch_items)
    with rig.new_worker(lambda link: TappedLink(link, around), lambda engine: tap_statements(engine, around)) as worker:
        worker.flush(range(shards))


def main() -> None:
    for driver in ("psycopg", "pymysql", "sqlite3"):
        import_module(driver)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                flush_and_die(*json.loads(line))
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(FAILED)
            os._exit(SURVIVED)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
