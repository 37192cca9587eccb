"""One member as the campaign sees it: a process, and the journal it writes."""

from __future__ import annotations

import multiprocessing
import time

from likes.items import encode_item, shard_of
from tests.chaos.journal import Journal
from tests.chaos.members import Life, live
from tests.chaos.stand import SHARDS
from tests.chaos.wishes import HOT

WAITING_SECONDS = 1  # a like that takes longer waits for something that is broken
_START = multiprocessing.get_context("forkserver")
_START.set_forkserver_preload(["tests.chaos.members", "likes.async_counter", "likes.sql.engine", "psycopg"])
SHARD_OF = {item: shard_of(encode_item(item), SHARDS) for item in HOT}
assert {*SHARD_OF.values()} == {*range(SHARDS)}, "hot items are in every shard"


class Member:
    """A process and its journal."""

    def __init__(self, life: Life) -> None:
        self.journal = Journal(life.journal)
        told, self._tells = _START.Pipe(duplex=False)
        self.process = _START.Process(target=live, args=(life, told), daemon=True)
        self.process.start()
        told.close()

    def let_end(self) -> None:
        """It is enough."""
        self._tells.close()

    def kill(self) -> None:
        """SIGKILL."""
        self.let_end()
        self.process.kill()
        self.process.join()

    def has_got_through(self, since: float) -> bool:
        """True once all that it does was done in every shard after that moment."""
        self.journal.look()
        done = (post.accepted for post in self.journal.posts.values() if post.sent > since)
        read = (read.totals for read in self.journal.reads if read.began > since)
        items = {item for some in (*done, *read) for item in some}
        return {SHARD_OF[item] for item in items & SHARD_OF.keys()} == set(range(SHARDS))

    def fails(self, since: float) -> bool:
        """True once something that it tried after that moment failed, or was begun a while ago and is not done."""
        self.journal.look()
        late = time.time() - WAITING_SECONDS
        posts = [post for post in self.journal.posts.values() if post.sent > since]
        waits = any(post.sent < late if post.done is None else not post.accepted for post in posts)
        return waits or any(at > since for at in self.journal.tried)
