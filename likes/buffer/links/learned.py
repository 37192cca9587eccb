"""What a link learns of its server by asking once and by trying: what it is called and its version tell too little."""

from __future__ import annotations

from typing import Final

from likes.buffer.calls import command

GREETING: Final = command("HELLO")  # any user may ask that
ASKING: Final = command("ASKING")  # lets a node that is being given a slot do the next call, for the keys it has


class Learned:
    """What the exchanges of one link know of its server.

    greeted: it was asked whether it is a node of a cluster, and is none or did not say.
    heard: it has answered something. loads: it keeps a script that was loaded. digests: it may be sent the digest of
    a script instead of its source.
    """

    def __init__(self, *, greeted: bool = False) -> None:
        self.greeted = greeted
        self.heard = False
        self.loads = True
        self.digests = True


def is_cluster(greeting: object) -> bool:
    """True if a server that answers the GREETING so is a node of a Redis Cluster."""
    if not isinstance(greeting, list):
        return False
    return (b"mode", b"cluster") in zip(greeting[::2], greeting[1::2], strict=False)
