"""The tables: totals, how far each shard was applied, the history, and what went wrong. Alembic alone creates them."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, MetaData, Table, Text, UniqueConstraint

from likes.sql.columns import Moment, Name
from likes.sql.dialects import BIG_INTEGER, BLOB, EVERY_TABLE, KEYED_TABLE, UPDATED_TABLE

NAMESPACE = Name(64)
EPOCH = Name(32)
NONCE = Name(32)
COUNTER = Name(64)
ITEM = Name(255)

metadata = MetaData()

# The counts themselves. No index on total: updates would stop being in place.
totals = Table(
    "likes_totals",
    metadata,
    Column("counter", COUNTER, primary_key=True),
    Column("item", ITEM, primary_key=True),
    Column("total", BIG_INTEGER, nullable=False),
    Column("updated_at", Moment(), nullable=False),
    **EVERY_TABLE,
    **KEYED_TABLE,
    **UPDATED_TABLE,
)

# One row, `only` is 1: the random id of this database, by which Redis knows whose it is.
database = Table(
    "likes_database",
    metadata,
    Column("only", Integer, primary_key=True, autoincrement=False),
    Column("id", Name(32), nullable=False),
    **EVERY_TABLE,
)

# Per shard: the current epoch (null: none) and the batch applied last. A batch counts only where it follows its cursor.
# covered_to: what Redis accepted before then, by its clock, was applied; covered_at: the same moment by SQL's clock;
# covered_by: when the last flush that was complete was over, by Redis's clock.
# durable: 1 if the server run_id wrote to disk before it answered. forgot: which proof that Redis forgot was told last.
# generation: of cached totals; those of another one do not hold any more.
cursors = Table(
    "likes_cursors",
    metadata,
    Column("namespace", NAMESPACE, primary_key=True),
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("epoch", EPOCH),
    Column("seq", BIG_INTEGER, nullable=False),
    Column("nonce", NONCE, nullable=False),
    Column("applied_delta", BIG_INTEGER, nullable=False),
    Column("redis_name", Name(1024), nullable=False),
    Column("replid", Name(64), nullable=False),
    Column("run_id", Name(64), nullable=False),
    Column("durable", Integer, nullable=False, server_default="0"),
    Column("covered_to", Moment()),
    Column("covered_at", Moment()),
    Column("covered_by", Moment()),
    Column("forgot", BIG_INTEGER, nullable=False, server_default="0"),
    Column("generation", BIG_INTEGER, nullable=False, server_default="0"),
    Column("updated_at", Moment(), nullable=False),
    **EVERY_TABLE,
    **KEYED_TABLE,
)

# Epochs given up for ever, with where they stood; accepted and sealed are what Redis had counted under them.
retired_epochs = Table(
    "likes_retired_epochs",
    metadata,
    Column("namespace", NAMESPACE, primary_key=True),
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("epoch", EPOCH, primary_key=True),
    Column("seq", BIG_INTEGER, nullable=False),
    Column("nonce", NONCE, nullable=False),
    Column("applied_delta", BIG_INTEGER, nullable=False),
    Column("accepted", BIG_INTEGER),
    Column("sealed", BIG_INTEGER),
    Column("retired_at", Moment(), nullable=False),
    Column("reason", Text, nullable=False),
    **EVERY_TABLE,
    **KEYED_TABLE,
)

# The ledger: one row for each batch applied. The payload is the batch itself, kept for a while.
batches = Table(
    "likes_batches",
    metadata,
    Column("namespace", NAMESPACE, primary_key=True),
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("epoch", EPOCH, primary_key=True),
    Column("seq", BIG_INTEGER, primary_key=True, autoincrement=False),
    Column("nonce", NONCE, nullable=False),
    Column("items", Integer, nullable=False),
    Column("delta", BIG_INTEGER, nullable=False),
    Column("sealed_at", Moment(), nullable=False),
    Column("applied_at", Moment(), nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("worker", Name(255), nullable=False),
    Column("payload", BLOB),
    Index("likes_batches_applied_at", "applied_at"),
    **EVERY_TABLE,
)

# What rows of the ledger had added when they were pruned, folded into a fingerprint; `unknown` of them kept no batch.
pruned = Table(
    "likes_pruned",
    metadata,
    Column("namespace", NAMESPACE, primary_key=True),
    Column("batches", BIG_INTEGER, nullable=False),
    Column("unknown", BIG_INTEGER, nullable=False),
    Column("fingerprint", BLOB, nullable=False),
    Column("updated_at", Moment(), nullable=False),
    **EVERY_TABLE,
)

# Sessions that ended, under the SHA-256 of their token, with the fields that were to be kept, as JSON; no username: "".
sessions = Table(
    "likes_sessions",
    metadata,
    Column("namespace", NAMESPACE, primary_key=True),
    Column("hash", Name(64), primary_key=True),
    Column("shard", Integer, nullable=False),
    Column("username", Name(255), nullable=False),
    Column("created_at", Moment(), nullable=False),
    Column("last_seen", Moment(), nullable=False),
    Column("hits", BIG_INTEGER, nullable=False),
    Column("ended_at", Moment(), nullable=False),
    Column("fields", Text, nullable=False),
    Index("likes_sessions_username", "username"),
    Index("likes_sessions_ended_at", "ended_at"),
    **EVERY_TABLE,
)

# Entries set aside for an operator: delta is null where what Redis held is no number; it is in raw then.
dead_letters = Table(
    "likes_dead_letters",
    metadata,
    Column("id", BIG_INTEGER, primary_key=True),
    Column("namespace", NAMESPACE, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("epoch", EPOCH, nullable=False),
    Column("seq", BIG_INTEGER, nullable=False),
    Column("nonce", NONCE, nullable=False),
    Column("counter", COUNTER, nullable=False),
    Column("item", ITEM, nullable=False),
    Column("delta", BIG_INTEGER),
    Column("raw", BLOB),
    Column("reason", Text, nullable=False),
    Column("at", Moment(), nullable=False),
    Column("resolved_at", Moment()),
    Column("resolved_by", Name(255)),
    Column("resolution", Text),
    Column("applied_delta", BIG_INTEGER),
    UniqueConstraint("namespace", "shard", "epoch", "seq", "nonce", "counter", "item", name="likes_dead_letters_entry"),
    Index("likes_dead_letters_unresolved", "resolved_at", "at"),
    **EVERY_TABLE,
)

# What happened to Redis or SQL, with the window in which likes may have been lost; no shard: the whole server.
incidents = Table(
    "likes_incidents",
    metadata,
    Column("id", BIG_INTEGER, primary_key=True),
    Column("namespace", NAMESPACE, nullable=False),
    Column("shard", Integer),
    Column("epoch", EPOCH),
    Column("kind", Name(64), nullable=False),
    Column("at", Moment(), nullable=False),
    Column("exposed_from", Moment()),
    Column("exposed_to", Moment()),
    Column("delta", BIG_INTEGER),
    Column("detail", Text, nullable=False),
    Column("resolved_at", Moment()),
    Column("resolved_by", Name(255)),
    Column("resolution", Text),
    Index("likes_incidents_at", "at"),
    **EVERY_TABLE,
)
