"""What a counter has open in one process: a link to Redis, an engine, and the threads that read with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

from likes.connect import Places
from likes.errors import DatabaseUnavailable, LikesError
from likes.forks import whole
from likes.handed_in import HandedDatabase
from likes.live.caching import CacheRules
from likes.live.known import Identity, Known
from likes.live.reading import Reader
from likes.member import Member

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from likes.sql.totals import KnownTotals, Total

LinkT = TypeVar("LinkT")
T = TypeVar("T")

SQL_THREADS = 5  # as many as an engine of ours has connections


class Opened(Generic[LinkT]):
    """Opens what is needed when it is needed. For any number of threads of one process."""

    def __init__(
        self,
        open_link: Callable[[], LinkT],
        database: Places | HandedDatabase,
        namespace: str,
        shards: int,
        rules: CacheRules,
    ) -> None:
        self.link: LinkT | None = None
        self.reader = Reader(namespace, shards, self, rules)
        self._open_link = open_link
        self._database = database
        self._namespace = namespace
        self._opening = Lock()
        self._opening_database = Lock()  # it may take a while, for which no like should have to wait
        self._identifying = Lock()
        self._asked: Future[Identity | LikesError] | None = None
        self._engine: Engine | None = None
        self._totals: KnownTotals | None = None
        self._threads: ThreadPoolExecutor | None = None

    def open_link(self) -> LinkT:
        """The link, opened if it is not."""
        if (link := self.link) is not None:
            return link
        with self._opening:
            if self.link is None:
                self.link = self._open_link()
            return self.link

    def close_database(self) -> None:
        """Close the connections to the database, unless they are an application's own, once the reads on them are over:
        those that were given up, too, which end by the time-out of a transaction.
        """
        with self._opening:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown()
        with self._opening_database:
            if self._engine is not None:
                self._database.close_database(self._engine)
            self._engine = self._totals = None

    def identity(self) -> Future[Identity | LikesError]:
        """Which database it is."""
        with self._identifying:
            if self._asked is None or self._asked.done():
                self._asked = self._in_thread(_told(lambda: self._open_database().identity()))
            return _shared(self._asked)

    def totals(self, members: Sequence[Member], shards: Sequence[int]) -> Future[Known | LikesError]:
        """Totals and where the shards stand, in one statement."""
        return self._in_thread(_told(lambda: self._open_database().totals(members, shards)))

    def top(self, counter: str, limit: int) -> Future[list[Total]]:
        """The largest totals in the database."""
        return self._in_thread(lambda: self._open_database().top(counter, limit))

    def _in_thread(self, read: Callable[[], T]) -> Future[T]:
        """Read in a thread: no driver ends a connect, a query and the wait for a connection by one deadline, so that is
        for the caller. The threads bound how much SQL is asked at once.
        """
        with self._opening:
            try:
                if self._threads is None:
                    self._threads = ThreadPoolExecutor(SQL_THREADS, "likes-sql")
                return self._threads.submit(copy_context().run, read)
            except RuntimeError as error:  # Python is ending, or has no more threads
                raise DatabaseUnavailable(f"the database cannot be asked: {error}") from error

    def _open_database(self) -> KnownTotals:
        with self._opening_database:
            if self._totals is None:
                return self._import_and_open()
            return self._totals

    def _import_and_open(self) -> KnownTotals:
        with whole:  # a child would find Python's locks on the modules taken that were just being imported
            from likes.sql.totals import KnownTotals

            self._engine = self._database.open_database()
            self._totals = KnownTotals(self._engine, self._namespace)
        return self._totals


def _told(read: Callable[[], T]) -> Callable[[], T | LikesError]:
    """The same, but an error of ours is what it returns."""

    def work() -> T | LikesError:
        try:
            return read()
        except LikesError as error:
            return error

    return work


def _shared(asked: Future[T]) -> Future[T]:
    """A future of one's own for what others wait for, too: to give it up takes nothing from them."""
    mine: Future[T] = Future()

    def hear(asked: Future[T]) -> None:
        if not mine.set_running_or_notify_cancel():
            return
        if (error := asked.exception()) is not None:
            mine.set_exception(error)
        else:
            mine.set_result(asked.result())

    asked.add_done_callback(hear)
    return mine
