"""Processes that die at a chosen call while they change the number of shards."""

from __future__ import annotations

from likes.sql.engine import open_engine
from tests.crash.mortal import Fate, main
from tests.rig import Rig
from tests.seams import TappedLink, tap_statements
from worker.resharding import Reshard


def act(redis_url: str, database_url: str, moment: str, last: int, to: int, before: int) -> None:
    """Change the number from `before` until its fate."""
    around = Fate(moment, last).around
    rig = Rig(redis_url, open_engine(database_url, timeout=10), shards=before, batch_items=2)
    with rig.new_worker(
        lambda link: TappedLink(link, around), lambda engine: tap_statements(engine, around), any_number=True
    ) as worker:
        Reshard(worker, to, before).run()


if __name__ == "__main__":
    main(act)
