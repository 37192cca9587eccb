"""Keys that hold what nobody of ours put there: an error names the key and says what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from likes.batch import Batch, LaterFormat
from likes.buffer.calls import Call, command
from likes.buffer.keys import EpochKeys, ShardKeys
from likes.errors import LikesError, RedisRefused

_NAME = re.compile(rb"\{[^{}]*\}:(?:[^:]*:)?([a-z_]+)(?::.*)?", re.DOTALL)
_WORD = re.compile(r"[A-Za-z0-9_. -]{1,32}")
_REMEDIES = {
    b"epoch": "the next flush begins a fresh epoch",
    b"epochs": "the current epoch goes on without it",
    b"lease": "nothing is lost with it",
    b"owner": "the next flush claims it, and takes a shard in which no like was flushed yet for emptied",
    b"resharding": "likes are accepted again",
    b"left": "an idempotency key used before the number of shards changed may then count once more",
    b"nonces": "a database that is restored soon after may then set aside what is in flight",
    b"state": "the next flush begins a fresh epoch, and sets aside as dead letters what is pending",
    b"pending": "the next flush finds the deltas again",
    b"in_flight": "the next flush records what was lost with it",
    b"batch": "the next flush records what was lost with it",
    b"once": "an idempotency key used before may then count once more",
    b"producers": "a like under way meanwhile may then count twice",
}


class Damaged(RedisRefused):
    """A key holds another type or content than ours; nothing was done. The message names it and says what to do."""


class LaterBatch(RedisRefused):
    """A later version sealed a batch, and only that can read it: it is left as it is. The message names it, and says
    what to do.
    """


def damaged(key: bytes, what: str, remedy: str = "") -> Damaged:
    """The error for a key; `what` goes on from its name, such as "holds another type". remedy: else it is deleted."""
    name = _NAME.fullmatch(key)
    after = _REMEDIES.get(name[1], "") if name else ""
    return Damaged(f"the key {shown(key)} {what}; " + (remedy or "delete it" + (after and f": {after}")))


def shown(raw: bytes) -> str:
    """Bytes for a message, at most 200 of them; between quotes, redis-cli reads them as they were."""
    return "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in raw[:200])


def read_word(key: bytes, raw: bytes | None, remedy: str = "") -> str:
    """The epoch or nonce found at `key`, "" for none; raises Damaged for what is neither."""
    text = (raw or b"").decode("ascii", "backslashreplace")
    if raw and not _WORD.fullmatch(text):
        raise damaged(key, f'holds "{shown(raw)}", which is none of ours', remedy)
    return text


def read_batch(key: bytes, payload: bytes) -> Batch:
    """The batch sealed at `key`. Raises Damaged for what is none, LaterBatch for one of a later version."""
    try:
        return Batch.unpack(payload)
    except LaterFormat as error:
        what = f"the batch at {shown(key)} was sealed by a later version ({error}) and is left as it is"
        raise LaterBatch(f"{what} until a worker of that version flushes it; update this one") from None
    except ValueError as error:
        raise damaged(key, f"holds no batch ({error})") from None


def probes(keys: ShardKeys) -> list[Call[Any]]:
    """A plain read of each key there is once: of another type, it answers with an error that names it."""
    calls: list[tuple[str | bytes, ...]] = [("GET", keys.pointer), ("SMEMBERS", keys.epochs), ("GET", keys.owner)]
    calls += [("GET", keys.resharding), ("GET", keys.left)]
    if isinstance(keys, EpochKeys):
        calls += [("HGET", keys.state, "seq"), ("LLEN", keys.pending), ("LLEN", keys.in_flight)]
        calls += [("HGET", keys.producers, ""), ("LLEN", keys.nonces), ("GET", keys.once)]
    return [command(*words, shard=keys.shard) for words in calls]


def culprit(calls: Sequence[Call[Any]], replies: Sequence[object], error: LikesError) -> LikesError:
    """What a script's `error` was about, where Redis only says that a key has another type: found by `probes`."""
    unread: bytes | None = None  # we may not read it; if all others are in order, it must be that one
    for call, reply in zip(calls, replies, strict=True):
        if isinstance(reply, Damaged):
            return reply
        if isinstance(reply, RedisRefused):
            unread = unread or call.key
    return damaged(unread, "holds another type than ours") if unread else error


def is_about_a_type(error: object) -> bool:
    """True for the error of a script that ran into a key of another type."""
    return isinstance(error, RedisRefused) and "WRONGTYPE" in str(error)


def read_delta(text: bytes | int | None) -> int:
    """A pending delta; what is no number (no client of ours wrote it) counts as 0, and a flush sets it aside."""
    try:
        return int(text or 0)
    except ValueError:
        return 0
