"""The first tables: totals, cursors, retired epochs, the ledger, dead letters, incidents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# All that follows is spelt out here, not taken from `likes`, whose types may change: a revision does the same for ever.
BIG_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BLOB = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
MOMENT = (
    sa.DateTime(timezone=True).with_variant(sa.TEXT(), "sqlite").with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
)

EVERY_TABLE = {
    "sqlite_strict": True,
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
}
KEYED_TABLE = {"sqlite_with_rowid": False}
UPDATED_TABLE = {"postgresql_with": {"fillfactor": 90}}


def name(size: int) -> sa.types.TypeEngine[str]:
    """Text of at most `size` bytes, compared byte by byte."""
    collated = sa.TEXT(collation="C")
    return collated.with_variant(sa.TEXT(), "sqlite").with_variant(mysql.VARBINARY(size), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "likes_totals",
        sa.Column("counter", name(64), primary_key=True),
        sa.Column("item", name(255), primary_key=True),
        sa.Column("total", BIG_INTEGER, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        **EVERY_TABLE,
        **KEYED_TABLE,
        **UPDATED_TABLE,
    )
    op.create_table(
        "likes_cursors",
        sa.Column("namespace", name(64), primary_key=True),
        sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", name(32)),
        sa.Column("seq", BIG_INTEGER, nullable=False),
        sa.Column("nonce", name(32), nullable=False),
        sa.Column("applied_delta", BIG_INTEGER, nullable=False),
        sa.Column("redis_name", name(1024), nullable=False),
        sa.Column("replid", name(64), nullable=False),
        sa.Column("run_id", name(64), nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        **EVERY_TABLE,
        **KEYED_TABLE,
    )
    op.create_table(
        "likes_retired_epochs",
        sa.Column("namespace", name(64), primary_key=True),
        sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", name(32), primary_key=True),
        sa.Column("seq", BIG_INTEGER, nullable=False),
        sa.Column("nonce", name(32), nullable=False),
        sa.Column("applied_delta", BIG_INTEGER, nullable=False),
        sa.Column("accepted", BIG_INTEGER),
        sa.Column("sealed", BIG_INTEGER),
        sa.Column("retired_at", MOMENT, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        **EVERY_TABLE,
        **KEYED_TABLE,
    )
    op.create_table(
        "likes_batches",
        sa.Column("namespace", name(64), primary_key=True),
        sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", name(32), primary_key=True),
        sa.Column("seq", BIG_INTEGER, primary_key=True, autoincrement=False),
        sa.Column("nonce", name(32), nullable=False),
        sa.Column("items", sa.Integer, nullable=False),
        sa.Column("delta", BIG_INTEGER, nullable=False),
        sa.Column("sealed_at", MOMENT, nullable=False),
        sa.Column("applied_at", MOMENT, nullable=False),
        sa.Column("duration_ms", sa.Integer, nullable=False),
        sa.Column("worker", name(255), nullable=False),
        sa.Column("payload", BLOB),
        **EVERY_TABLE,
    )
    op.create_index("likes_batches_applied_at", "likes_batches", ["applied_at"])
    op.create_table(
        "likes_dead_letters",
        sa.Column("id", BIG_INTEGER, primary_key=True),
        sa.Column("namespace", name(64), nullable=False),
        sa.Column("shard", sa.Integer, nullable=False),
        sa.Column("epoch", name(32), nullable=False),
        sa.Column("seq", BIG_INTEGER, nullable=False),
        sa.Column("nonce", name(32), nullable=False),
        sa.Column("counter", name(64), nullable=False),
        sa.Column("item", name(255), nullable=False),
        sa.Column("delta", BIG_INTEGER),
        sa.Column("raw", BLOB),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("resolved_at", MOMENT),
        sa.Column("resolved_by", name(255)),
        sa.Column("resolution", sa.Text),
        sa.Column("applied_delta", BIG_INTEGER),
        sa.UniqueConstraint(
            "namespace", "shard", "epoch", "seq", "nonce", "counter", "item", name="likes_dead_letters_entry"
        ),
        **EVERY_TABLE,
    )
    op.create_index("likes_dead_letters_unresolved", "likes_dead_letters", ["resolved_at", "at"])
    op.create_table(
        "likes_incidents",
        sa.Column("id", BIG_INTEGER, primary_key=True),
        sa.Column("namespace", name(64), nullable=False),
        sa.Column("shard", sa.Integer),
        sa.Column("epoch", name(32)),
        sa.Column("kind", name(64), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("exposed_from", MOMENT),
        sa.Column("exposed_to", MOMENT),
        sa.Column("delta", BIG_INTEGER),
        sa.Column("detail", sa.Text, nullable=False),
        **EVERY_TABLE,
    )
    op.create_index("likes_incidents_at", "likes_incidents", ["at"])


def downgrade() -> None:
    for table in ("incidents", "dead_letters", "batches", "retired_epochs", "cursors", "totals"):
        op.drop_table(f"likes_{table}")
