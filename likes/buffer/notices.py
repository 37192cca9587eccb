"""Of what somebody was told: kept in Redis for a while, so that several workers tell it once."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from likes.buffer.buffer import Buffer
from likes.buffer.calls import command
from likes.buffer.keys import shard_keys
from likes.errors import Unavailable

TELLING_SECONDS = 300  # how long whoever tells it has it to itself; a worker that dies meanwhile has told nobody
TOLD_SECONDS = 2 * 86_400
_TELLING, _TOLD = b"telling", b"told"


class Claimed(NamedTuple):
    """Names of what is to be told now, by who asked, and of what was told before."""

    mine: list[str]
    told: list[str]


def claim(buffer: Buffer, names: Collection[str]) -> Claimed:
    """Ask for all of `names`; what another worker is about to tell is in neither. Raises Unavailable.

    What Redis refuses to note down (it is full, say) is to be told: rather twice than never.
    """
    keys = {name: shard_keys(buffer.namespace, 0).notice(name) for name in names}
    ask = [command("SET", key, _TELLING, "NX", "PX", TELLING_SECONDS * 1000, shard=0) for key in keys.values()]
    replies = buffer.link.send([*ask, *(command("GET", key, shard=0) for key in keys.values())])
    if away := next((reply for reply in replies if isinstance(reply, Unavailable)), None):
        raise away
    claimed = Claimed([], [])
    for name, granted, known in zip(keys, replies[: len(keys)], replies[len(keys) :], strict=True):
        if granted is not None:
            claimed.mine.append(name)
        elif known == _TOLD:
            claimed.told.append(name)
    return claimed


def note_told(buffer: Buffer, names: Collection[str]) -> None:
    """These were told. Where that cannot be noted they are told once more, by another worker or the next one."""
    keys = [shard_keys(buffer.namespace, 0).notice(name) for name in names]
    buffer.link.send([command("SET", key, _TOLD, "PX", TOLD_SECONDS * 1000, shard=0) for key in keys])
