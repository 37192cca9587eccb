"""What clients have used of their rate, shared by all processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from likes.buffer.calls import Call, Script
from likes.buffer.keys import ShardKeys

GCRA = Script("gcra")


def use(keys: ShardKeys, used: Mapping[str, float]) -> Call[dict[str, float]]:
    """Clients get ahead of their rates by so many seconds each; how far ahead each is now, in seconds."""
    clients = [*used]

    def read(reply: list[Any]) -> dict[str, float]:
        return {client: int(ahead) / 1e6 for client, ahead in zip(clients, reply, strict=True)}

    microseconds = [f"{seconds * 1e6:.0f}" for seconds in used.values()]
    return GCRA.call(keys.shard, [keys.rate(client) for client in clients], microseconds, read)
