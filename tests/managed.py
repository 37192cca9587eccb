"""Services as a proxy in front of a server plays them: they refuse what docs/servers.md says of them, as they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.proxy import Proxy

# As both have been quoted with it; the command and its first words are put in.
UNKNOWN = "ERR unknown command `{0}`, with args beginning with: `{1}`, "
NOT_PERMITTED = "NOPERM User default has no permissions to run the '{0}' command"


@dataclass(frozen=True)
class Service:
    """refuses: commands, answered with `words`. options: those of the server behind it."""

    refuses: Sequence[str]
    words: str = UNKNOWN
    options: Sequence[str] = ()

    def stand_before(self, proxy: Proxy) -> None:
        """Refuse from now on."""
        for command in self.refuses:
            proxy.refuse(command, self.words.format(command.lower(), "get"))


_NOWHERE = ("BGREWRITEAOF", "BGSAVE", "CONFIG", "DEBUG", "MIGRATE", "REPLICAOF", "SAVE", "SHUTDOWN")
_NO_FILE = ("--appendonly", "no", "--maxmemory-policy", "volatile-lru", "--maxmemory", "100mb")

SERVICES = {
    "ElastiCache": Service((*_NOWHERE, "SLAVEOF", "SYNC"), options=_NO_FILE),
    "Memorystore for Redis": Service(
        (*_NOWHERE, "ACL", "CLIENT", "CLUSTER", "COMMAND", "LASTSAVE", "MONITOR", "OBJECT"), options=_NO_FILE
    ),
    "Memorystore for Valkey": Service((*_NOWHERE, "ACL", "MONITOR"), NOT_PERMITTED),
    "Aiven": Service((*_NOWHERE, "ACL", "CLUSTER", "COMMAND", "FAILOVER", "LASTSAVE", "MONITOR", "ROLE", "SLAVEOF")),
}

_SCRIPTS = ("EVAL", "EVALSHA", "SCRIPT")
WITHOUT_SCRIPTS = {
    "unknown": Service(_SCRIPTS),
    "unknown in an older server's words": Service(_SCRIPTS, "ERR unknown command '{0}'"),
    "Garnet without --lua": Service(_SCRIPTS, "ERR This instance has Lua scripting support disabled"),
}
