"""What a link learns of its server by asking once and by trying: what it is called and its version tell too little."""

from __future__ import annotations

from typing import Final

from likes.buffer.calls import command

GREETING: Final = command("HELLO")  # any user may ask that
ASKING: Final = command("ASKING")  # lets a node that is being given a slot do the next call, for the keys it has


class Learned:
    """What the exchanges of one link know of its server.

    greeted: it was asked what it is, and is a single server or did not say.
    heard: it has answered something. loads: it keeps a script that was loaded. digests: it may be sent the digest of
    a script instead of its source.
    """

    def __init__(self, *, greeted: bool = False) -> None:
        self.greeted = greeted
        self.heard = False
        self.loads = True
        self.digests = True


def mode_of(greeting: object) -> bytes:
    """What a server that answers the GREETING so is: b"standalone", b"cluster" or b"sentinel"; b"" if it is untold."""
    if not isinstance(greeting, list):
        return b""
    mode = dict(zip(greeting[::2], greeting[1::2], strict=False)).get(b"mode", b"")
    return mode if isinstance(mode, bytes) else b""
