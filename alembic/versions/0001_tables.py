"""The first tables: totals, cursors, retired epochs, the ledger, dead letters, incidents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from likes.sql.columns import Moment, Name
from likes.sql.dialects import BIG_INTEGER, BLOB, EVERY_TABLE, KEYED_TABLE, UPDATED_TABLE

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "likes_totals",
        sa.Column("counter", Name(64), primary_key=True),
        sa.Column("item", Name(255), primary_key=True),
        sa.Column("total", BIG_INTEGER, nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        **EVERY_TABLE,
        **KEYED_TABLE,
        **UPDATED_TABLE,
    )
    op.create_table(
        "likes_cursors",
        sa.Column("namespace", Name(64), primary_key=True),
        sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", Name(32)),
        sa.Column("seq", BIG_INTEGER, nullable=False),
        sa.Column("nonce", Name(32), nullable=False),
        sa.Column("applied_delta", BIG_INTEGER, nullable=False),
        sa.Column("redis_name", Name(1024), nullable=False),
        sa.Column("replid", Name(64), nullable=False),
        sa.Column("run_id", Name(64), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        **EVERY_TABLE,
        **KEYED_TABLE,
    )
    op.create_table(
        "likes_retired_epochs",
        sa.Column("namespace", Name(64), primary_key=True),
        sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", Name(32), primary_key=True),
        sa.Column("seq", BIG_INTEGER, nullable=False),
        sa.Column("nonce", Name(32), nullable=False),
        sa.Column("applied_delta", BIG_INTEGER, nullable=False),
        sa.Column("accepted", BIG_INTEGER),
        sa.Column("sealed", BIG_INTEGER),
        sa.Column("retired_at", Moment(), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        **EVERY_TABLE,
        **KEYED_TABLE,
    )
    op.create_table(
        "likes_batches",
        sa.Column("namespace", Name(64), primary_key=True),
        sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", Name(32), primary_key=True),
        sa.Column("seq", BIG_INTEGER, primary_key=True, autoincrement=False),
        sa.Column("nonce", Name(32), nullable=False),
        sa.Column("items", sa.Integer, nullable=False),
        sa.Column("delta", BIG_INTEGER, nullable=False),
        sa.Column("sealed_at", Moment(), nullable=False),
        sa.Column("applied_at", Moment(), nullable=False),
        sa.Column("duration_ms", sa.Integer, nullable=False),
        sa.Column("worker", Name(255), nullable=False),
        sa.Column("payload", BLOB),
        **EVERY_TABLE,
    )
    op.create_index("likes_batches_applied_at", "likes_batches", ["applied_at"])
    op.create_table(
        "likes_dead_letters",
        sa.Column("id", BIG_INTEGER, primary_key=True),
        sa.Column("namespace", Name(64), nullable=False),
        sa.Column("shard", sa.Integer, nullable=False),
        sa.Column("epoch", Name(32), nullable=False),
        sa.Column("seq", BIG_INTEGER, nullable=False),
        sa.Column("nonce", Name(32), nullable=False),
        sa.Column("counter", Name(64), nullable=False),
        sa.Column("item", Name(255), nullable=False),
        sa.Column("delta", BIG_INTEGER),
        sa.Column("raw", BLOB),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("resolved_at", Moment()),
        sa.Column("resolved_by", Name(255)),
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
        sa.Column("namespace", Name(64), nullable=False),
        sa.Column("shard", sa.Integer),
        sa.Column("epoch", Name(32)),
        sa.Column("kind", Name(64), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("exposed_from", Moment()),
        sa.Column("exposed_to", Moment()),
        sa.Column("delta", BIG_INTEGER),
        sa.Column("detail", sa.Text, nullable=False),
        **EVERY_TABLE,
    )
    op.create_index("likes_incidents_at", "likes_incidents", ["at"])


def downgrade() -> None:
    for name in ("incidents", "dead_letters", "batches", "retired_epochs", "cursors", "totals"):
        op.drop_table(f"likes_{name}")
