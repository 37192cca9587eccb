"""What a counter has open in one process: a link to Redis, an engine, and the threads that read with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

from likes.connect import Places
from likes.errors import DatabaseUnavailable
from likes.forks import whole
from likes.handed_in import HandedDatabase
from likes.live.reading import Known, Reader
from likes.member import Member

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from likes.sql.totals import KnownTotals, Total

LinkT = TypeVar("LinkT")
T = TypeVar("T")

SQL_THREADS = 5  # as many as an engine of ours has connections


class Opened(Generic[LinkT]):
    """Opens what is needed when it is needed. For any number of threads of one process."""

    def __init__(self, open_link: Callable[[], LinkT], database: Places | HandedDatabase, namespace: str) -> None:
        self.link: LinkT | None = None
        self.reader = Reader(namespace, self._read_sql)
        self._open_link = open_link
        self._database = database
        self._namespace = namespace
        self._opening = Lock()
        self._opening_database = Lock()  # it may take a while, for which no like should have to wait
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

    def top(self, counter: str, limit: int) -> Future[list[Total]]:
        """The largest totals in the database, read in a thread."""
        return self._in_thread(lambda totals: totals.top(counter, limit))

    def _read_sql(self, members: Sequence[Member], shards: Sequence[int]) -> Future[Known]:
        return self._in_thread(lambda totals: totals(members, shards))

    def _in_thread(self, read: Callable[[KnownTotals], T]) -> Future[T]:
        """Read in a thread, as no driver ends a connect, a query and the wait for a connection by one deadline."""
        with self._opening:
            try:
                if self._threads is None:
                    self._threads = ThreadPoolExecutor(SQL_THREADS, "likes-sql")
                return self._threads.submit(copy_context().run, lambda: read(self._open_database()))
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
