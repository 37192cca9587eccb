"""The audit: was every like that Redis accepted counted once, and is the rest of them where it should be?

It reads while others write. So what moved in between is looked at again, and nothing is called wrong before it has been
seen twice.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from likes.buffer.buffer import Buffer
from likes.buffer.inventory import EMPTY, current_epoch, find_deltas, put_among_pending, take_stock
from likes.buffer.looking import find_damage
from likes.errors import RedisRefused
from likes.member import Member
from likes.reports.comparison import Comparison, Problem
from likes.sql import books
from likes.sql.ledger import Ledger

PAUSES = (0, 0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)  # seconds before each look at a shard, until nothing came in between


@dataclass(frozen=True, slots=True)
class ShardAudit:
    """One shard under its current epoch; amounts are sums of deltas.

    compared_books, compared_keys: False where a worker or new likes kept coming in between.
    missing_entries: deltas that no flush would have found; `repaired` of them were put among the pending.
    """

    shard: int
    epoch: str | None
    ok: bool
    accepted: int
    sealed: int
    applied: int
    in_flight: int
    pending: int
    dead_letters: int
    written_off: int
    missing_entries: int
    repaired: int
    compared_books: bool
    compared_keys: bool
    problems: Sequence[str]
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Audit:
    """All shards and their sums; `totals` and `ever_applied` are over all namespaces of the database."""

    ok: bool
    accepted: int
    applied: int
    in_flight: int
    pending: int
    dead_letters: int
    written_off: int
    totals: int
    ever_applied: int
    shards: Sequence[ShardAudit]
    problems: Sequence[str]
    notes: Sequence[str] = ()


def audit(buffer: Buffer, ledger: Ledger, shards: int, *, repair: bool = False) -> Audit:
    """Compare SQL and Redis; `repair` puts deltas that no flush would find among the pending, and changes nothing else.

    Raises RedisUnavailable, DatabaseUnavailable, SchemaOutdated.
    """
    known = ledger.cursors()
    of_shards = [_audit_shard(buffer, ledger, shard, repair) for shard in sorted({*range(shards), *known})]
    sums = books.sums(ledger.engine)
    problems = [f"shard {shard.shard}: {problem}" for shard in of_shards for problem in shard.problems]
    notes = [f"shard {shard.shard}: {note}" for shard in of_shards for note in shard.notes]
    if sums.is_saturated:
        notes.append("what was applied reached the limits of 64 bits somewhere, so the totals cannot be compared")
    elif sums.totals != sums.applied:
        problems.append(f"the totals add up to {sums.totals}, but {sums.applied} was applied")
    return Audit(
        ok=not problems,
        accepted=sum(shard.accepted for shard in of_shards),
        applied=sum(shard.applied for shard in of_shards),
        in_flight=sum(shard.in_flight for shard in of_shards),
        pending=sum(shard.pending for shard in of_shards),
        dead_letters=sum(shard.dead_letters for shard in of_shards),
        written_off=sum(shard.written_off for shard in of_shards),
        totals=sums.totals,
        ever_applied=sums.applied,
        shards=of_shards,
        problems=problems,
        notes=notes,
    )


def _audit_shard(buffer: Buffer, ledger: Ledger, shard: int, repair: bool) -> ShardAudit:
    epoch = ""
    try:
        epoch = current_epoch(buffer, shard)
        audited = _compare_shard(buffer, ledger, shard, repair)
    except RedisRefused as error:
        audited = _unreadable(shard, error)
    damage = find_damage(buffer.link, buffer.namespace, {shard: epoch})[shard]
    problems = list(dict.fromkeys([*audited.problems, *damage]))
    return replace(audited, problems=problems, ok=not problems)


def _unreadable(shard: int, error: RedisRefused) -> ShardAudit:
    return ShardAudit(
        shard=shard,
        epoch=None,
        ok=False,
        accepted=0,
        sealed=0,
        applied=0,
        in_flight=0,
        pending=0,
        dead_letters=0,
        written_off=0,
        missing_entries=0,
        repaired=0,
        compared_books=False,
        compared_keys=False,
        problems=[str(error)],
    )


def _compare_shard(buffer: Buffer, ledger: Ledger, shard: int, repair: bool) -> ShardAudit:
    comparison, found = _look_until_sure(buffer, ledger, shard)
    redis, missing = comparison.redis, comparison.redis.missing if comparison.is_steady else ()
    repaired = put_among_pending(buffer, shard, redis.standing.epoch, missing) if repair else 0
    problems = [problem.text for problem in found if not (repair and problem.kind == "entries")]
    return ShardAudit(
        shard=shard,
        epoch=redis.standing.epoch or None,
        ok=not problems,
        accepted=redis.standing.accepted,
        sealed=redis.standing.sealed,
        applied=comparison.applied,
        in_flight=comparison.in_flight,
        pending=redis.pending if comparison.is_still else redis.standing.accepted - redis.standing.sealed,
        dead_letters=comparison.dead_letters,
        written_off=comparison.written_off,
        missing_entries=len(missing),
        repaired=repaired,
        compared_books=comparison.is_steady,
        compared_keys=comparison.is_still,
        problems=problems,
        notes=["its sums reached the limits of 64 bits and cannot be compared"] if comparison.is_saturated else [],
    )


def _look_until_sure(buffer: Buffer, ledger: Ledger, shard: int) -> tuple[Comparison, list[Problem]]:
    """The least disturbed comparison, and those of its problems that another one found too."""
    seen: Counter[tuple[str, int]] = Counter()
    best: Comparison | None = None
    epoch, members = "", list[Member]()
    for pause in PAUSES:
        time.sleep(pause)
        if epoch != (now := current_epoch(buffer, shard)):
            epoch, members = now, find_deltas(buffer, shard, now) if now else []
        comparison = _compare(buffer, ledger, shard, epoch, members)
        found = comparison.problems()
        seen.update(problem[:2] for problem in found)
        if comparison.is_still and all(seen[problem[:2]] > 1 for problem in found):
            return comparison, found
        if best is None or comparison.is_still or comparison.is_steady >= best.is_steady:
            best = comparison
    assert best is not None  # noqa: S101 (there is at least one pause)
    return best, [problem for problem in best.problems() if seen[problem[:2]] > 1]


def _compare(buffer: Buffer, ledger: Ledger, shard: int, epoch: str, members: Sequence[Member]) -> Comparison:
    before = books.of_shard(ledger.engine, ledger.namespace, shard)
    redis = take_stock(buffer, shard, epoch, members) if epoch else EMPTY
    after = ledger.cursors().get(shard)
    stood = (before.cursor and before.cursor.place) == (after and after.place)
    return Comparison(shard, before, redis, stood and redis.is_steady, stood and redis.is_still)
