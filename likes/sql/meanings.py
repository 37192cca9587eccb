"""What each kind of incident means, and what to do about it; docs/operating.md tells more of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from likes.sql.incidents import Kind


class Meaning(NamedTuple):
    """What may be lost, and what an operator does."""

    meaning: str
    advice: str


MEANINGS: Mapping[Kind, Meaning] = {
    Kind.REDIS_RESTARTED: Meaning(
        "Redis answers as another process: what the one before had accepted and not written to disk may be lost",
        "nothing, after a restart that was planned; else see that appendonly is on (likes check)",
    ),
    Kind.REDIS_FAILED_OVER: Meaning(
        "a replica was promoted: what had not been copied to it may be lost",
        "nothing; min-replicas-to-write in Redis's configuration makes it less next time",
    ),
    Kind.REDIS_REPLACED: Meaning(
        "Redis was emptied, or is another one under the same name: what was pending and in flight is lost",
        "find out who emptied it, and see that appendonly is on (likes check)",
    ),
    Kind.REDIS_WENT_BACK: Meaning(
        "Redis came back with an older state: what it has forgotten and no flush had taken yet is lost",
        "decide about what it remembered: likes dead-letters",
    ),
    Kind.SET_ASIDE: Meaning(
        "likes of an epoch that was given up were found, and kept as dead letters: nothing is lost until you decide",
        "decide about them: likes dead-letters",
    ),
    Kind.REDIS_ADOPTED: Meaning(
        "somebody ran likes adopt: what the Redis before still held is not counted",
        "nothing; next time, flush the one before into this database first",
    ),
    Kind.SQL_WENT_BACK: Meaning(
        "batches that were counted are not in the database, which was restored: the likes in them, the delta, are lost",
        "find out who restored it; keep the incident, as audits reckon with its delta",
    ),
    Kind.BATCH_MISSING: Meaning(
        "a batch in flight had no content any more, evicted or deleted by hand: the likes in it are lost",
        "see that maxmemory-policy is noeviction (likes check)",
    ),
    Kind.DELTAS_MISSING: Meaning(
        "what was accepted was neither pending nor handed off, evicted, deleted or overwritten: its delta is lost",
        "find out who did it, and see that maxmemory-policy is noeviction (likes check)",
    ),
    Kind.REDIS_FORGOT: Meaning(
        "a client found that Redis no longer knew what it had acknowledged: an older state was put back in place",
        "find out who restored it",
    ),
    Kind.DATABASE_ADOPTED: Meaning(
        "somebody ran likes adopt --database: what Redis holds is counted in this database from now on",
        "nothing; stop the workers of the database before, if they still run",
    ),
    Kind.SQL_REPLACED: Meaning(
        "another file was put in the place of SQLite's: what was counted after the new file was made may be lost",
        "next time, stop the workers before you replace the file",
    ),
}

_UNKNOWN = Meaning("this version does not know what that means", "see the docs of the version that recorded it")


def meaning_of(kind: str) -> Meaning:
    """What a kind means, as it stands in the database."""
    return MEANINGS[Kind(kind)] if kind in {*Kind} else _UNKNOWN
