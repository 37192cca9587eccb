"""Types and table options that the databases spell in different ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, Integer, LargeBinary
from sqlalchemy.dialects import mysql

BIG_INTEGER = BigInteger().with_variant(Integer(), "sqlite")  # STRICT tables know no BIGINT; INTEGER has 64 bits there
BLOB = LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")

_INNODB = {"engine": "InnoDB", "charset": "utf8mb4"}

# Without STRICT, a total past 64 bits turns into a floating-point number.
EVERY_TABLE: Mapping[str, Any] = {
    "sqlite_strict": True,
    **{f"{name}_{option}": value for name in ("mysql", "mariadb") for option, value in _INNODB.items()},
}
# Tables found by their natural key only: half the size without a second tree.
KEYED_TABLE: Mapping[str, Any] = {"sqlite_with_rowid": False}
# Room in every page, so that an update need not touch the index.
UPDATED_TABLE: Mapping[str, Any] = {"postgresql_with": {"fillfactor": 90}}
