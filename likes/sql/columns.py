"""Two column types of our own: names compared as bytes, and moments in UTC; str and datetime in Python everywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, String
from sqlalchemy.engine import Dialect as Driver
from sqlalchemy.types import TypeDecorator, TypeEngine

from likes.sql.dialects import dialect_of


class Name(TypeDecorator[str]):
    """Text of at most `size` bytes of UTF-8, compared byte by byte: `A` is not `a`, `x` is not `x `."""

    impl = String
    cache_ok = True

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size

    def load_dialect_impl(self, dialect: Driver) -> TypeEngine[Any]:
        return dialect_of(dialect).name_type(self.size)

    def process_bind_param(self, value: str | None, dialect: Driver) -> str | bytes | None:
        return None if value is None else dialect_of(dialect).store_name(value)

    def process_result_value(self, value: str | bytes | None, dialect: Driver) -> str | None:
        return value.decode() if isinstance(value, bytes) else value


class Moment(TypeDecorator[datetime]):
    """A moment to the microsecond: an aware datetime goes in, one in UTC comes out."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Driver) -> TypeEngine[Any]:
        return dialect_of(dialect).moment_type()

    def process_bind_param(self, value: datetime | None, dialect: Driver) -> datetime | str | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return dialect_of(dialect).store_moment(value.astimezone(UTC))

    def process_result_value(self, value: datetime | str | None, dialect: Driver) -> datetime | None:
        if value is None:
            return None
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
