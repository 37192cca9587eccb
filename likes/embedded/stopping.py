"""A stop in order, and the start after it: how a flush can tell that nothing was forgotten in between.

The word STOPPED goes into the append-only file right before the server ends, and whatever stands before it in that file
was kept if it was. A server that starts refuses writes until it has put its run id in place of that word, or, where it
does not find it, begun a lineage of its own. So a process that was killed after it had accepted likes breaks the line,
even if no flush ever saw it.
"""

from __future__ import annotations

from likes.buffer.lineage import LINEAGE, STOPPED
from likes.embedded.home import Home
from likes.errors import LikesError

# Options for the server's start: it has no replicas, so it takes no writes. Once it does, its run id is on disk: a
# power cut that took that with likes that came after would leave the word that stood before.
CLOSED = {"--min-replicas-to-write": "1", "--appendfsync": "always"}
APPENDFSYNC = "everysec"
_OPENED = ":1"
_LONGEST = 100

_CONTINUE = f"""
local run_id = string.match(redis.call("INFO", "server"), "run_id:(%x+)")
if redis.call("LINDEX", KEYS[1], 0) == run_id then return 0 end
if redis.call("LINDEX", KEYS[1], 0) == "{STOPPED}" then redis.call("LPOP", KEYS[1]) else redis.call("DEL", KEYS[1]) end
if redis.call("LINDEX", KEYS[1], 0) ~= run_id then redis.call("LPUSH", KEYS[1], run_id) end
redis.call("LTRIM", KEYS[1], 0, {_LONGEST - 1})
return 1
"""


def let_write(home: Home) -> None:
    """Let the server that runs take writes, its lineage continued; harmless when repeated."""
    script = " ".join(_CONTINUE.split())
    open_it = f"MULTI\r\nCONFIG SET min-replicas-to-write 0\r\nEVAL '{script}' 1 {LINEAGE}\r\nEXEC"
    if _OPENED in home.ask(open_it).splitlines():
        home.ask(f"CONFIG SET appendfsync {APPENDFSYNC}")


def shut_down(home: Home) -> None:
    """Ask the server to end. Raises LikesError if it refuses, RedisUnavailable if it does not answer."""
    # In one packet, so that nobody writes between the first two; the third has its turn only if the server stays.
    replies = home.ask(f"LPUSH {LINEAGE} {STOPPED}\r\nSHUTDOWN\r\nLPOP {LINEAGE}").splitlines()
    if replies and replies[-1] == "+OK":  # to the QUIT behind
        refusal = next((reply for reply in reversed(replies) if reply.startswith("-")), "")
        raise LikesError(f"the embedded Redis will not stop: {refusal}; see {home.log}")
