"""The generation of each shard's cached totals, and the sessions that ended.

What is new has a default, so that the release before still works on these tables.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# All that follows is spelt out here, not taken from `likes`, whose types may change: a revision does the same for ever.
BIG_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
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


def name(size: int) -> sa.types.TypeEngine[str]:
    """Text of at most `size` bytes, compared byte by byte."""
    collated = sa.TEXT(collation="C")
    return collated.with_variant(sa.TEXT(), "sqlite").with_variant(mysql.VARBINARY(size), "mysql", "mariadb")


def upgrade() -> None:
    op.add_column("likes_cursors", sa.Column("generation", BIG_INTEGER, nullable=False, server_default="0"))
    op.create_table(
        "likes_sessions",
        sa.Column("namespace", name(64), primary_key=True),
        sa.Column("hash", name(64), primary_key=True),
        sa.Column("shard", sa.Integer, nullable=False),
        sa.Column("username", name(255), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("last_seen", MOMENT, nullable=False),
        sa.Column("hits", BIG_INTEGER, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=False),
        sa.Column("fields", sa.Text, nullable=False),
        sa.Index("likes_sessions_username", "username"),
        sa.Index("likes_sessions_ended_at", "ended_at"),
        **EVERY_TABLE,
    )


def downgrade() -> None:
    op.drop_table("likes_sessions")
    op.drop_column("likes_cursors", "generation")
