"""The processes of a load test: writers that post without a break, and workers that flush without a break until killed.

python -m tests.crash.flood write REDIS_URL SHARDS SEED     posts until its input ends, then prints what was accepted
python -m tests.crash.flood flush REDIS_URL DATABASE_URL    forks a worker for each line it reads, and prints its pid
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections import Counter
from importlib import import_module
from random import Random

from likes import LikeCounter, RedisUnavailable
from likes.errors import Unavailable
from likes.sql.engine import open_engine
from tests.rig import Rig

SHARDS = 3
BATCH_ITEMS = 10


def write(redis_url: str, seed: str) -> None:
    random, accepted = Random(seed), Counter[str]()
    with LikeCounter(redis_url=redis_url, shards=SHARDS) as likes:
        while not select.select([sys.stdin], [], [], 0)[0]:
            deltas = {
                f"video:{random.randrange(60)}": random.choice([1, 1, 2, -1]) for _ in range(random.randrange(1, 9))
            }
            try:
                likes.add(deltas)
            except RedisUnavailable:  # certainly not counted
                continue
            accepted.update(deltas)
    print(json.dumps(accepted))


def flush(redis_url: str, database_url: str) -> None:
    for driver in ("psycopg", "pymysql", "sqlite3"):
        import_module(driver)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the dead
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            flush_for_ever(redis_url, database_url)
        print(child, flush=True)


def flush_for_ever(redis_url: str, database_url: str) -> None:
    rig = Rig(redis_url, open_engine(database_url, timeout=10), shards=SHARDS, batch_items=BATCH_ITEMS)
    while True:
        try:
            rig.flush()
        except Unavailable:
            continue
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)


if __name__ == "__main__":
    {"write": write, "flush": flush}[sys.argv[1]](*sys.argv[2:])
