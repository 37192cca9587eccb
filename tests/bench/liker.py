"""A process that likes at a steady pace until its input ends, then prints how long each like took, in milliseconds."""

from __future__ import annotations

import json
import random
import sys
import time
from threading import Event, Thread

from likes import LikeCounter
from tests.bench.traffic import deltas

THREADS = 4
LIKES_A_SECOND = 500
ITEMS = 10_000


def main() -> None:
    done = Event()
    took: list[float] = []
    with LikeCounter(redis_url=sys.argv[1]) as likes:
        catalogue = [item for item, _ in deltas(ITEMS, seed=-1)]
        threads = [Thread(target=_like, args=(likes, catalogue, took, done)) for _ in range(THREADS)]
        likes.add(dict.fromkeys(catalogue, 1))  # opens what has to be opened
        for thread in threads:
            thread.start()
        sys.stdout.write("up\n")
        sys.stdout.flush()
        sys.stdin.read()
        done.set()
        for thread in threads:
            thread.join()
    json.dump(took, sys.stdout)


def _like(likes: LikeCounter, catalogue: list[str], took: list[float], done: Event) -> None:
    while not done.wait(random.expovariate(LIKES_A_SECOND / THREADS)):
        began = time.perf_counter()
        likes.like(random.choice(catalogue))
        took.append((time.perf_counter() - began) * 1000)


if __name__ == "__main__":
    main()
