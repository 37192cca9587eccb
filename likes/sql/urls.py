"""URLs of databases: read, with the name of our driver, and shown without what is secret."""

from __future__ import annotations

from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError

from likes.config.urls import check_database_url, mask
from likes.errors import SettingsError
from likes.sql.dialects import DRIVERS, dialect_of


def parse_url(url: str) -> URL:
    """`url` with the name of our driver; raise SettingsError, which shows no password, if it cannot be used."""
    try:
        parsed = make_url(check_database_url(url))
    except (ArgumentError, ValueError) as error:
        why = str(error) if type(error) is ValueError else "it cannot be read"  # SQLAlchemy may quote a password
        raise SettingsError(f"database URL {mask(url)!r}: {why}") from None
    if parsed.host and "@" in parsed.host + (parsed.database or ""):
        raise SettingsError(f"database URL {mask(url)!r}: in a password an at-sign is written %40, a slash %2F")
    return parsed.set(drivername=DRIVERS[parsed.drivername])


def describe(url: str) -> str:
    """The kind of database and where it is, such as `PostgreSQL at host:5432`; nothing secret."""
    return place(parse_url(url))


def place(url: URL) -> str:
    """The same for a URL that is parsed already."""
    return dialect_of(url).place(url)


def url_of(engine: Engine) -> str:
    """The URL of an engine, password included: not to be shown."""
    return engine.url.render_as_string(hide_password=False)
