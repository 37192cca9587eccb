"""What is asked of a database; one implementation for each kind."""

from __future__ import annotations

import select
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from math import ceil
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from likes.deltas import Deltas
from likes.errors import DatabaseRefused

COUNTING_ROWS = {"preserve_rowcount": True}  # execution options: the number of rows outlasts the cursor


class Weakness(NamedTuple):
    """What is set in a way that no session of ours can change: `found` says how and what comes of it, `fix` what to do.

    keeps_from_writing: nothing can be counted.
    """

    name: str
    found: str
    fix: str
    keeps_from_writing: bool = False


class Dialect(ABC):
    """One kind of database. Each tuple lists how the codes of such errors begin."""

    OLDEST: ClassVar[tuple[int, ...]]  # the version that has all that is used here
    AWAY: ClassVar[tuple[str, ...]]
    TRANSIENT: ClassVar[tuple[str, ...]]
    READ_ONLY: ClassVar[tuple[str, ...]]
    BAD_DATA: ClassVar[tuple[str, ...]]
    NOT_OF_A_ROW: ClassVar[tuple[str, ...]]  # neither away nor transient, and certainly not the fault of one row
    MISSING_TABLE: ClassVar[tuple[str, ...]]
    NOT_PERMITTED: ClassVar[tuple[str, ...]] = ()
    IDLE_SECONDS: ClassVar[float] = 60.0  # firewalls forget an idle connection, after minutes, and tell nobody
    CLOCK: ClassVar[str]  # an expression for this very moment, in UTC or with its zone
    # options of an engine whose transactions see what was there when they began
    SNAPSHOT: ClassVar[Mapping[str, Any]] = {"isolation_level": "REPEATABLE READ"}
    SURVIVES_FORK: ClassVar[bool] = True  # whoever is using it, and whatever connection is open

    @abstractmethod
    def code(self, error: DBAPIError) -> str:
        """The database's own code for an error."""

    def is_away(self, error: DBAPIError) -> bool:
        """True if the server cannot be reached, broke off, or takes no work now: full, read-only, shutting down."""
        return error.connection_invalidated or self.code(error).startswith(self.AWAY)

    def is_transient(self, error: DBAPIError) -> bool:
        """True if the transaction may succeed when repeated as a whole: a deadlock, a time-out, the server was away."""
        return self.is_away(error) or self.code(error).startswith(self.TRANSIENT)

    def is_read_only(self, error: DBAPIError) -> bool:
        """True if it takes no writes because somebody wants it so: a standby, a role or a server that only reads."""
        return self.code(error).startswith(self.READ_ONLY)

    def is_bad_data(self, error: DBAPIError) -> bool:
        """True if a value is at fault, such as a total past 64 bits; without it the same statement succeeds."""
        return self.code(error).startswith(self.BAD_DATA)

    def may_be_of_a_row(self, error: DBAPIError) -> bool:
        """True if one row may be at fault: its data, or a constraint or a trigger of the table's owner."""
        return not (
            self.is_transient(error) or self.is_missing_table(error) or self.code(error).startswith(self.NOT_OF_A_ROW)
        )

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

    def weaknesses(self, connection: Connection) -> Iterator[Weakness]:
        """What a server, a database or a role is set to that costs commits, items or all writing."""
        return iter(())

    @abstractmethod
    def add_to_totals(self, connection: Connection, deltas: Deltas, now: datetime) -> None:
        """Add every delta to its total, in the order given; (counter, item) may not repeat. `now` is in UTC.

        Raises DatabaseRefused if it left a row out without an error, as a trigger may have it.
        """

    @abstractmethod
    def add_nothing(self, connection: Connection) -> None:
        """What `add_to_totals` does, with no row at all: what is refused then is no row's fault."""

    def check_constraints_at_once(self, connection: Connection) -> None:
        """Until the end of the transaction, let no constraint wait for it."""

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

    @abstractmethod
    def engine_options(self, url: URL, timeout: float) -> dict[str, Any]:
        """Arguments for `create_engine`, besides `url`; `timeout` in seconds."""

    def prepare(self, engine: Engine) -> None:
        """Prepare a new engine of ours."""

    def set_up(self, connection: DBAPIConnection) -> None:
        """Prepare a new connection."""

    def begin(self, connection: Connection, *, write: bool, timeout: float) -> None:
        """Prepare a new transaction, one that may `write` or not; `timeout` in seconds."""

    def begin_lent(self, connection: Connection, *, timeout: float) -> None:
        """The same for one that only reads, on a connection of an application's own: nothing may outlast it."""

    def socket_to_watch(self, connection: Connection) -> int | None:
        """The file number of the connection's socket, if the driver may wait on it for ever."""
        return None

    def is_over(self, connection: Connection) -> bool:
        """True if a connection that nobody uses now leads nowhere any more; asks nothing of the server."""
        return False

    def is_replaced(self, connection: Connection) -> bool:
        """True if it leads to another database than its URL does now. Raises DatabaseUnavailable if that is gone."""
        return False

    def let_go(self, connection: Connection) -> bool:
        """Before the last connection to a database that was replaced is closed; False if others still use that."""
        return True

    @abstractmethod
    def migrating(self, connection: Connection) -> AbstractContextManager[None]:
        """In a write transaction: hold off other migrations of this database, after waiting for those that run."""


def host_and_port(url: URL, default_port: int) -> str:
    """`host:port` of a URL, whose host may stand among its parameters (a socket's folder, or several)."""
    named = url.host or url.query.get("host") or "localhost"
    host = named if isinstance(named, str) else ",".join(named)
    return host if host.startswith("/") or "," in host else f"{host}:{url.port or default_port}"


def require_all(added: int, deltas: Deltas) -> None:
    """Raise DatabaseRefused unless so many rows were `added` as there are deltas."""
    if added != len(deltas):
        raise DatabaseRefused(
            f"a trigger or rule left out {len(deltas) - added} of {len(deltas)} rows without an error"
        )


def has_spoken(socket: int) -> bool:
    """True if there is something to read where nothing was asked: the server has said good-bye, or is gone."""
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


def connect_seconds(url: URL, timeout: float) -> int:
    """Whole seconds for connecting: a server that is there answers soon, however long its transactions may take."""
    wanted = url.query.get("connect_timeout")
    return min(int(wanted) if isinstance(wanted, str) and int(wanted) else 30, max(1, ceil(timeout)), 30)
