"""Many entries under one idempotency key: split into parts the same way each time, each under a key of its own."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from likes.buffer.scripts import OnceKey
from likes.buffer.scripts.once import DIGEST_BYTES
from likes.errors import InvalidInput, LikesError
from likes.member import Member, Placed
from likes.posting.adder import ENTRIES_A_CALL
from likes.posting.once import OncePart, Wanted
from likes.posting.outcome import Sent, entries_of, raise_unless_counted


def once_key(key: bytes, *stands_for: object) -> OnceKey:
    """The idempotency key of a caller, with all it is scoped by, and what it is used for; raises InvalidInput."""
    if not isinstance(key, bytes):
        raise InvalidInput(f"an idempotency key is bytes, not {type(key).__name__}; a text has to be encoded")
    return OnceKey(sha256(key).digest(), sha256(repr(stands_for).encode()).digest()[:DIGEST_BYTES])


def home(once: OnceKey, shards: int) -> Wanted:
    """Keeps the key in a shard that it alone tells, so that it cannot be used for other entries in other shards."""

    def place(number: int) -> int:
        return int.from_bytes(once.key[-8:]) % number

    return Wanted(place(shards), once, place=place)


def parts(once: OnceKey, entries: Sequence[Placed]) -> list[Wanted]:
    """What goes to each shard: an entry for each member, in calls that hold Redis for no longer than others do."""
    sums: dict[int, dict[Member, int]] = {}
    for shard, (member, delta) in entries:
        of_shard = sums.setdefault(shard, {})
        of_shard[member] = of_shard.get(member, 0) + delta
    return [
        Wanted(shard, _part_key(once, shard, first), [*some.items()][first : first + ENTRIES_A_CALL])
        for shard, some in sums.items()
        for first in range(0, len(some), ENTRIES_A_CALL)
    ]


def results(entries: Sequence[Placed], sent: Sequence[OncePart]) -> list[int | LikesError | None]:
    """What became of each entry: its pending delta, None where that is not known any more, or why it did not count."""
    found: dict[Member, int | LikesError | None] = {}
    for each in entries_of(sent):
        found[each.member] = _result(each)
    return [found[member] for _, (member, _) in entries]


def _result(sent: Sent) -> int | LikesError | None:
    try:
        raise_unless_counted([sent])
    except LikesError as error:
        return error
    pending = sent.part.added.pending if sent.part.added else ()
    return pending[sent.position] if pending else None


def _part_key(once: OnceKey, shard: int, first: int) -> OnceKey:
    return OnceKey(sha256(b"%s:%d:%d" % (once.key, shard, first)).digest(), once.digest)
