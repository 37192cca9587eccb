"""The audit of every item: is each total what was added to it?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from likes.reports.audit import Audit
from likes.sql.items import ItemBooks, OffItem, compare_items
from likes.sql.ledger import Ledger

NAMED = 20  # items that are off


@dataclass(frozen=True, slots=True)
class ItemsAudit:
    """Over all namespaces. `compared`: False where what was added is not all on record; `words` say what was done.

    off: the items that are off, with what their totals are and how much that is more than it should be.
    """

    compared: bool
    totals: int
    batches: int
    pruned: int
    resolutions: int
    off: Sequence[OffItem]
    words: str


def with_items(audit: Audit, ledger: Ledger) -> tuple[Audit, ItemsAudit]:
    """`audit` with what is to be said of items. Raises DatabaseUnavailable, SchemaOutdated."""
    found = compare_items(ledger.engine)
    hindrance = " and ".join(_hindrances(found))
    problems = [] if hindrance else [*_problems(found)]
    items = ItemsAudit(
        compared=not hindrance,
        totals=found.totals,
        batches=found.batches,
        pruned=found.pruned,
        resolutions=found.resolutions,
        off=found.off,
        words=_words(found, hindrance),
    )
    return replace(audit, ok=audit.ok and not problems, problems=[*audit.problems, *problems]), items


def _words(found: ItemBooks, hindrance: str) -> str:
    record = (
        f"{found.batches:,} batches in the ledger, {found.pruned:,} pruned from it"
        f" and {found.resolutions:,} dead letters applied"
    )
    if hindrance:
        return f"items: not compared, as {hindrance}; on record are {record}, for {found.totals:,} totals"
    return f"items: each of {found.totals:,} totals compared with {record}"


def _hindrances(found: ItemBooks) -> Iterator[str]:
    if found.unknown:
        yield f"the content of {found.unknown:,} batches was not kept, or cannot be read by this version"
    elif found.is_missing:
        yield "what was applied is not all on record: rows of the ledger were deleted, or pruned by an older version"
    if found.is_saturated:
        yield "what was applied reached the limits of 64 bits"


def _problems(found: ItemBooks) -> Iterator[str]:
    for counter, item, total, amount in found.off[:NAMED]:
        if total is None:
            yield f"{item!r} ({counter}) has no total, but {-amount:+,} was applied to it"
        else:
            yield f"the total of {item!r} ({counter}) is {total:,}, but {total - amount:,} was applied to it"
    if (more := len(found.off) - NAMED) > 0:
        yield f"{more:,} more totals are not what was applied to them; --json names them all"
    if found.unnamed:
        yield (
            f"totals that cannot be told apart are off in {len(found.unnamed):,} of 1,024 slices,"
            f" by {sum(found.unnamed):+,} altogether"
        )
