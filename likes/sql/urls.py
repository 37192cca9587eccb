"""URLs of databases: read, with the name of our driver, and shown without what is secret."""

from __future__ import annotations

from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError

from likes.config.urls import mask
from likes.errors import SettingsError
from likes.sql.dialects import DRIVERS, dialect_of


def parse_url(url: str) -> URL:
    """`url` with the name of our driver; raise SettingsError, which shows no password, if it cannot be used."""
    allowed = ", ".join(f"{scheme}://…" for scheme in DRIVERS if "+" not in scheme)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise SettingsError(f"database URL {mask(url)!r} cannot be read; allowed: {allowed}") from None
    if parsed.drivername not in DRIVERS:
        raise SettingsError(f"database URL {mask(url)!r} is of another kind; allowed: {allowed}")
    if parsed.host and "@" in parsed.host + (parsed.database or ""):
        raise SettingsError(f"database URL {mask(url)!r}: in a password an at-sign is written %40, a slash %2F")
    if parsed.database in (None, "", ":memory:"):
        raise SettingsError(f"database URL {mask(url)!r} names no database or file")
    parsed = parsed.set(drivername=DRIVERS[parsed.drivername])
    if unknown := dialect_of(parsed).unknown_parameters(parsed):
        raise SettingsError(
            f"database URL {mask(url)!r} has parameters its driver does not know: {', '.join(sorted(unknown))}"
        )
    return parsed


def describe(url: str) -> str:
    """The kind of database and where it is, such as `PostgreSQL at host:5432`; nothing secret."""
    return place(parse_url(url))


def place(url: URL) -> str:
    """The same for a URL that is parsed already."""
    return dialect_of(url).place(url)


def url_of(engine: Engine) -> str:
    """The URL of an engine, password included: not to be shown."""
    return engine.url.render_as_string(hide_password=False)
