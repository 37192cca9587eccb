"""Mutants that no test can notice, or that make no difference to anybody, each with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.mutants.mutant import Mutant


@dataclass(frozen=True)
class Harmless:
    """The mutants of `path` that make `new` of the line `old`, as the report shows them, and why that is all right."""

    path: str
    old: str
    new: str
    why: str

    def is_about(self, mutant: Mutant) -> bool:
        """True if it means this mutant."""
        return (self.path, self.old, self.new) == (mutant.path, mutant.old, mutant.new)


HARMLESS: Sequence[Harmless] = (
    Harmless(
        "likes/buffer/lua/add.lua",
        "redis.call('HSET', KEYS[2], 'accepted', sum < 0 and '-9223372036854775808' or '9223372036854775807')",
        "redis.call('HSET', KEYS[2], 'accepted', sum <= 0 and '-9223372036854775808' or '9223372036854775807')",
        "Adding 0 overflows nothing.",
    ),
    Harmless(
        "likes/buffer/lua/add_once.lua",
        "elseif #refused > 0 then",
        "elseif #refused >= 0 then",
        "That none was refused is kept as an empty list instead of nothing, which is read alike; it takes a byte more.",
    ),
    Harmless(
        "likes/buffer/lua/turn_once.lua",
        "if not wanted and now - newest.began >= tonumber(ARGV[6]) then",
        "if not wanted and now - newest.began > tonumber(ARGV[6]) then",
        "A generation has its successor a millisecond later.",
    ),
    Harmless(
        "likes/buffer/lua/turn_once.lua",
        "while wanted > 1 and held * tonumber(ARGV[8]) <= 64 do",
        "while wanted > 1 and held * tonumber(ARGV[8]) < 64 do",
        "Buckets that would be just half full are a quarter as full then; either will do.",
    ),
    Harmless(
        "likes/buffer/lua/turn_once.lua",
        "if i < #all and now - all[i + 1].began >= tonumber(ARGV[5]) then each.over = '-' end",
        "if i < #all and now - all[i + 1].began > tonumber(ARGV[5]) then each.over = '-' end",
        "Keys are known for a millisecond longer.",
    ),
    Harmless(
        "likes/sessions/lua/life.lua",
        "and now < tonumber(session.expires_at) and now < longest(session)",
        "and now <= tonumber(session.expires_at) and now < longest(session)",
        "A session lives for a millisecond longer.",
    ),
    Harmless(
        "likes/sessions/lua/life.lua",
        "and now < tonumber(session.expires_at) and now < longest(session)",
        "and now < tonumber(session.expires_at) and now <= longest(session)",
        "A session lives for a millisecond longer.",
    ),
    Harmless(
        "likes/limiting/allowances.py",
        "if even_at - now > self.seconds * (1 + 1e-9):",
        "if even_at - now >= self.seconds * (1 + 1e-9):",
        "Times are rounded by less than that: nobody is ahead by just so much.",
    ),
    Harmless(
        "likes/buffer/lua/beat.lua",
        "if not readable or type(record) ~= 'table' or (tonumber(record[1]) or 0) < now - ARGV[4] then",
        "if not readable or type(record) ~= 'table' or (tonumber(record[1]) or 0) <= now - ARGV[4] then",
        "Who was silent for just so long is forgotten a millisecond sooner.",
    ),
    Harmless(
        "likes/buffer/lua/hand_off.lua",
        "elseif #text <= 12 then sum = sum + tonumber(text)",
        "elseif #text < 12 then sum = sum + tonumber(text)",
        "Both ways of adding a number of 12 digits are exact.",
    ),
    Harmless(
        "likes/posting/once.py",
        "self.doubtful = isinstance(reply, Added) and not reply.done and self.sent_at is not None",
        "self.doubtful = isinstance(reply, Added) and not reply.done",
        "It is sent again, and that reply decides; where it is a repeat, the mark finds the key and changes nothing.",
    ),
    Harmless(
        "likes/buffer/links/exchange.py",
        "request = self._held_back or packed(call.words)",
        "request = packed(call.words)",
        "It is packed once more, which only takes time.",
    ),
    Harmless(
        "worker/decisions.py",
        "first = [epoch for epoch in (cursor.epoch, view.current) if epoch and epoch in view.epochs]",
        "first = [epoch for epoch in (cursor.epoch, view.current) if epoch in view.epochs]",
        "No epoch is None or empty, so neither is among those seen; it is said for the type's sake.",
    ),
    Harmless(
        "likes/sql/chains.py",
        "if portion and size + chain.bytes > BYTES_A_TRANSACTION:",
        "if portion and size + chain.bytes >= BYTES_A_TRANSACTION:",
        "A byte more or less of half a MiB, far below what any database refuses.",
    ),
    Harmless(
        "likes/sql/rows.py",
        '"payload": batch.payload if len(batch.payload) <= LONGEST_PAYLOAD else None,',
        '"payload": batch.payload if len(batch.payload) < LONGEST_PAYLOAD else None,',
        "A byte more or less of four MiB, far below what any database refuses.",
    ),
    Harmless(
        "worker/flush.py",
        "if not self._stopped.is_set() and look(shard):",
        "if look(shard):",
        "A shard looks at the same flag before it does anything; it reads a little more before it ends.",
    ),
    Harmless(
        "worker/shard_flush.py",
        "is_as_expected = turn.error is None and (sealed is None or sealed in applied)",
        "is_as_expected = turn.error is None and (sealed in applied)",
        "Where nothing was pending any more, another look finds that there is nothing to do.",
    ),
    Harmless(
        "worker/shard_flush.py",
        "if is_as_expected and self._view.epochs.keys() == {turn.epoch}:",
        "if self._view.epochs.keys() == {turn.epoch}:",
        "What the rules would do next, the next flush does.",
    ),
    Harmless(
        "worker/shard_flush.py",
        "while self._steps < STEPS and not self._stopped.is_set():",
        "while self._steps < STEPS:",
        "After a server went away the next step raises; after Ctrl-C some more are taken.",
    ),
    Harmless(
        "worker/shard_flush.py",
        "while self._steps < STEPS and not self._stopped.is_set():",
        "while self._steps <= STEPS and not self._stopped.is_set():",
        "A step more or less of a thousand.",
    ),
    Harmless(
        "worker/shard_flush.py",
        "return all(not self._stopped.is_set() and self._settle_one(batch) for batch in batches)",
        "return all(self._settle_one(batch) for batch in batches)",
        "After a server went away the first one raises; after Ctrl-C the others of a row are settled, too.",
    ),
)
