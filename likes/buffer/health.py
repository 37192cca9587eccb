"""What a Redis server says of itself, to find out whether it is set up as it should be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from likes.buffer.buffer import Buffer
from likes.buffer.calls import Call, Script, command
from likes.buffer.keys import epoch_keys, number_of_shards, shard_keys
from likes.buffer.links.link import Link, ask
from likes.buffer.scripts import confirm
from likes.errors import LikesError, RedisRefused, Resharding, another_number
from likes.member import split

MAY_ADD = Script("may_add")


def read_info(buffer: Buffer, shard: int = 0) -> dict[str, str]:
    """The fields of INFO of the server that a shard lives on; none where it does not tell."""
    try:
        (said,) = ask(buffer.link, [_of_server(buffer, shard, "INFO")])
    except RedisRefused:
        return {}
    lines = bytes(said).decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def read_config(buffer: Buffer, name: str, shard: int = 0) -> str | None:
    """A setting of the server that a shard lives on; None if it does not tell."""
    try:
        (reply,) = ask(buffer.link, [_of_server(buffer, shard, "CONFIG", "GET", name)])
        return bytes(reply[1]).decode()
    except (LikesError, IndexError):
        return None


def knows_config(buffer: Buffer, shard: int = 0) -> bool:
    """False where nobody may configure the server, as at most services; true also where just this user may not."""
    (reply,) = buffer.link.send([_of_server(buffer, shard, "CONFIG", "GET", "maxmemory")])
    return not (isinstance(reply, RedisRefused) and "nknown command" in str(reply))


def read_clock(buffer: Buffer, shard: int = 0) -> float | None:
    """The clock of the server that a shard lives on, in seconds since 1970; None if it does not tell."""
    try:
        ((seconds, microseconds),) = ask(buffer.link, [_of_server(buffer, shard, "TIME")])
    except RedisRefused:
        return None
    return int(seconds) + int(microseconds) / 1_000_000


def _of_server(buffer: Buffer, shard: int, *words: str) -> Call[Any]:
    return command(*words, shard=shard, at=shard_keys(buffer.namespace, shard).owner)


def try_script(buffer: Buffer, shard: int = 0) -> None:
    """Run a script that changes nothing but needs the right to write. Raises RedisRefused if that is missing."""
    ask(buffer.link, [confirm(epoch_keys(buffer.namespace, shard, "check"))])


def try_writing(link: Link, namespace: str, shards: int) -> None:
    """Send a write that changes nothing, and that is refused where a like would be: by a full Redis, by a replica.

    Raises RedisUnavailable, RedisFull, RedisRefused or, where likes are held in another number of shards, WrongShards,
    and while that number is being changed Resharding.
    """
    keys, root = epoch_keys(namespace, 0, "check"), shard_keys(namespace, 0)
    write = command("SET", keys.batch(0), b"", "XX", shard=0)
    reads = [command("GET", key, shard=0) for key in (root.pointer, root.resharding)]
    _, epoch, closed, _ = ask(link, [write, *reads, MAY_ADD.call(0, [keys.batch(0)], (), bool)])
    if closed:
        raise Resharding(
            f"the number of shards is being changed to {closed.decode('ascii', 'replace')} (likes reshard)"
        )
    if (number := number_of_shards((epoch or b"").decode("ascii", "replace"))) not in (None, shards):
        raise another_number(number, shards)


def are_numbered(epochs: Iterable[str | None]) -> bool:
    """True if one of them says of how many shards it is; those that an older version began do not."""
    return any(number_of_shards(epoch or "") is not None for epoch in epochs)


def pending_samples(buffer: Buffer, most: int = 10) -> dict[int, list[bytes]]:
    """Shard -> items of it that are pending, a few of each."""
    shards = [shard_keys(buffer.namespace, shard) for shard in buffer.shards_in_use()]
    epochs = ask(buffer.link, [command("GET", keys.pointer, shard=keys.shard) for keys in shards])
    keys = [
        epoch_keys(buffer.namespace, each.shard, (epoch or b"").decode())
        for each, epoch in zip(shards, epochs, strict=True)
    ]
    heads = ask(buffer.link, [command("LRANGE", each.pending, 0, most - 1, shard=each.shard) for each in keys])
    return {each.shard: [split(member)[1] for member in head] for each, head in zip(keys, heads, strict=True)}
