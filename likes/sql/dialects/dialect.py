"""What is asked of a database; one implementation for each kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from datetime import datetime
from math import ceil
from typing import Any, ClassVar

from sqlalchemy import URL, Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from likes.deltas import Deltas


class Dialect(ABC):
    """One kind of database. Each tuple lists how the codes of such errors begin."""

    OLDEST: ClassVar[tuple[int, ...]]  # the version that has all that is used here
    AWAY: ClassVar[tuple[str, ...]]
    TRANSIENT: ClassVar[tuple[str, ...]]
    BAD_DATA: ClassVar[tuple[str, ...]]
    MISSING_TABLE: ClassVar[tuple[str, ...]]
    NOT_PERMITTED: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def code(self, error: DBAPIError) -> str:
        """The database's own code for an error."""

    def is_away(self, error: DBAPIError) -> bool:
        """True if the server cannot be reached, broke off, or takes no work now: full, read-only, shutting down."""
        return error.connection_invalidated or self.code(error).startswith(self.AWAY)

    def is_transient(self, error: DBAPIError) -> bool:
        """True if the transaction may succeed when repeated as a whole: a deadlock, a time-out, the server was away."""
        return self.is_away(error) or self.code(error).startswith(self.TRANSIENT)

    def is_bad_data(self, error: DBAPIError) -> bool:
        """True if a value is at fault, such as a total past 64 bits; without it the same statement succeeds."""
        return self.code(error).startswith(self.BAD_DATA)

    def is_missing_table(self, error: DBAPIError) -> bool:
        """True if a table or a column is not there."""
        return self.code(error).startswith(self.MISSING_TABLE)

    def is_not_permitted(self, error: DBAPIError) -> bool:
        """True if the user lacks a right."""
        return bool(self.NOT_PERMITTED) and self.code(error).startswith(self.NOT_PERMITTED)

    def known_fault(self, version: tuple[int, ...]) -> str | None:
        """What may go wrong with this version, if anything is known."""
        return None

    def elsewhere(self, connection: Connection, table: str) -> tuple[str, str] | None:
        """Where a table is that this user does not see, and the statement that lets it; None if it is nowhere."""
        return None

    @abstractmethod
    def make_writable(self, connection: Connection) -> str:
        """What to do about a database that only reads: a statement for its owner, where there is one."""

    def grant(self, connection: Connection, right: str, table: str) -> str:
        """The statement that gives the user of a connection a right to a table."""
        raise NotImplementedError  # where there are no rights, none is missing

    def missing_sequence_rights(self, connection: Connection) -> list[tuple[str, str]]:
        """Tables whose ids this user may not draw, each with the statement that lets it."""
        return []

    @abstractmethod
    def add_to_totals(self, connection: Connection, deltas: Deltas, now: datetime) -> None:
        """Add every delta to its total, in the order given; (counter, item) may not repeat. `now` is in UTC."""

    @abstractmethod
    def name_type(self, size: int) -> TypeEngine[Any]:
        """The type of text of at most `size` bytes that is compared byte by byte."""

    @abstractmethod
    def moment_type(self) -> TypeEngine[Any]:
        """The type of a moment with microseconds."""

    def store_name(self, name: str) -> str | bytes:
        """What is bound for a name."""
        return name

    def store_moment(self, moment: datetime) -> datetime | str:
        """What is bound for a moment in UTC."""
        return moment

    @abstractmethod
    def place(self, url: URL) -> str:
        """The kind of database and where it is, such as `PostgreSQL at host:5432`; nothing secret."""

    def is_in_memory(self, url: URL) -> bool:
        """True if only this process can reach the database of this URL."""
        return False

    def unknown_parameters(self, url: URL) -> set[str]:
        """Those of a URL's parameters that the driver does not know, if it would not say so in an error of its own."""
        return set()

    @abstractmethod
    def engine_options(self, timeout: float) -> dict[str, Any]:
        """Arguments for `create_engine`; `timeout` in seconds."""

    def set_up(self, connection: DBAPIConnection) -> None:
        """Prepare a new connection."""

    def begin(self, connection: Connection, *, write: bool, timeout: float) -> None:
        """Prepare a new transaction, one that may `write` or not; `timeout` in seconds."""

    def begin_lent(self, connection: Connection, *, timeout: float) -> None:
        """The same for one that only reads, on a connection of an application's own: nothing may outlast it."""

    def socket_to_watch(self, connection: Connection) -> int | None:
        """The file number of the connection's socket, if the driver may wait on it for ever."""
        return None

    @abstractmethod
    def migrating(self, connection: Connection) -> AbstractContextManager[None]:
        """In a write transaction: hold off other migrations of this database, after waiting for those that run."""


def host_and_port(url: URL, default_port: int) -> str:
    """`host:port` of a URL, whose host may stand among its parameters (a socket's folder, or several)."""
    named = url.host or url.query.get("host") or "localhost"
    host = named if isinstance(named, str) else ",".join(named)
    return host if host.startswith("/") or "," in host else f"{host}:{url.port or default_port}"


def connect_seconds(timeout: float) -> int:
    """Whole seconds for connecting: a server that is there answers soon, however long its transactions may take."""
    return min(max(1, ceil(timeout)), 30)
