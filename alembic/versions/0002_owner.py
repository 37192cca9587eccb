"""The database's own id, how far flushes have covered each shard, incidents that an operator resolves, and what was
added by rows of the ledger that are pruned.

What is new has a default, so that the release before still works on these tables.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
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


def name(size: int) -> sa.types.TypeEngine[str]:
    """Text of at most `size` bytes, compared byte by byte."""
    collated = sa.TEXT(collation="C")
    return collated.with_variant(sa.TEXT(), "sqlite").with_variant(mysql.VARBINARY(size), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "likes_database",
        sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", name(32), nullable=False),
        **EVERY_TABLE,
    )
    op.create_table(
        "likes_pruned",
        sa.Column("namespace", name(64), primary_key=True),
        sa.Column("batches", BIG_INTEGER, nullable=False),
        sa.Column("unknown", BIG_INTEGER, nullable=False),
        sa.Column("fingerprint", BLOB, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        **EVERY_TABLE,
    )
    op.add_column("likes_cursors", sa.Column("durable", sa.Integer, nullable=False, server_default="0"))
    op.add_column("likes_cursors", sa.Column("covered_to", MOMENT))
    op.add_column("likes_cursors", sa.Column("covered_at", MOMENT))
    op.add_column("likes_cursors", sa.Column("covered_by", MOMENT))
    op.add_column("likes_cursors", sa.Column("forgot", BIG_INTEGER, nullable=False, server_default="0"))
    op.add_column("likes_incidents", sa.Column("resolved_at", MOMENT))
    op.add_column("likes_incidents", sa.Column("resolved_by", name(255)))
    op.add_column("likes_incidents", sa.Column("resolution", sa.Text))


def downgrade() -> None:
    for column in ("resolution", "resolved_by", "resolved_at"):
        op.drop_column("likes_incidents", column)
    for column in ("forgot", "covered_by", "covered_at", "covered_to", "durable"):
        op.drop_column("likes_cursors", column)
    op.drop_table("likes_pruned")
    op.drop_table("likes_database")
