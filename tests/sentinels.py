"""A master with replicas and Sentinels for tests, on this machine: servers die, come back, and take turns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import redis

from tests.servers import RedisServer, valkey
from tests.waiting import wait_until

PATIENCE = 60
SERVICE = "mymaster"
DOWN_AFTER = 5000  # milliseconds; less, and a busy machine looks like one that fails
USUAL = ("--repl-diskless-sync-delay", "0", "--repl-backlog-size", "16mb", "--repl-ping-replica-period", "1")


class SentinelServer(RedisServer):
    """One Sentinel. What it is told it keeps in its file, and knows it again when it is started anew."""

    def __init__(self, binary: str, *watched: str) -> None:
        super().__init__(binary)
        self.file = self.folder / "sentinel.conf"
        lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {self.folder}", *watched]
        self.file.write_text("\n".join(lines) + "\n")

    def command(self) -> list[str]:
        return [self.binary, str(self.file), "--sentinel"]


class Node:
    """A server or a Sentinel, and a client that talks to it alone."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.client: Any = redis.Redis(port=server.port, protocol=2, socket_timeout=5)
        self._raw: Any = redis.Redis(port=server.port, protocol=2, socket_timeout=5)
        self._raw.response_callbacks.clear()  # replies as they come

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    def __call__(self, *words: Any) -> Any:
        return self._raw.execute_command(*words)

    def role(self) -> str:
        return str(self("ROLE")[0].decode())

    def offset(self) -> int:
        """How much of what was replicated it has."""
        return int(self.client.info("replication")["master_repl_offset"])

    def close(self) -> None:
        self.client.close()
        self._raw.close()
        self.server.remove()


class Watched:
    """Servers, the first of which is master at first, and the Sentinels that watch it."""

    def __init__(
        self,
        make: Callable[..., RedisServer] = valkey,
        *,
        servers: int = 3,
        sentinels: int = 3,
    ) -> None:
        self.servers = [Node(make(*USUAL)) for _ in range(servers)]
        self._quorum = sentinels // 2 + 1
        self.sentinels = [Node(SentinelServer(self.servers[0].server.binary, *self._lines())) for _ in range(sentinels)]

    def _lines(self) -> list[str]:
        master = self.servers[0]
        return [
            f"sentinel monitor {SERVICE} 127.0.0.1 {master.server.port} {self._quorum}",
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER}",
            f"sentinel failover-timeout {SERVICE} 2000",
            f"sentinel parallel-syncs {SERVICE} 10",
        ]

    def start(self) -> Self:
        first, *others = self.servers
        first.server.start()
        for each in others:
            each.server.start()
            each("REPLICAOF", "127.0.0.1", first.server.port)
        for each in self.sentinels:
            each.server.start()
        self.wait_until_whole()
        return self

    @property
    def url(self) -> str:
        return self.url_of(self.sentinels)

    def url_of(self, sentinels: list[Node]) -> str:
        """The URL that names these Sentinels."""
        hosts = ",".join(each.address for each in sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    def named(self, by: Node) -> str:
        """The address that a Sentinel names."""
        host, port = by("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return f"{host.decode()}:{int(port)}"

    def master(self) -> Node:
        """The server that all Sentinels name."""
        master = self._named_by_all()
        assert master, "they are divided"
        return master

    def _named_by_all(self) -> Node | None:
        """None while they are divided. Those that were killed do not count."""
        named = {self.named(each) for each in self.sentinels if each.server.is_running}
        return next((each for each in self.servers if named == {each.address}), None)

    def replicas(self) -> list[Node]:
        """The others."""
        master = self.master()
        return [each for each in self.servers if each is not master]

    def wait_until_whole(self) -> None:
        """Until all run, agree and know each other, and the replicas have caught up."""
        wait_until(self._is_whole, PATIENCE)

    def wait_for_a_master(self, than: Node | None = None) -> Node:
        """The master, once all Sentinels name one, another than that, and it is one."""

        def is_there() -> bool:
            found = self._named_by_all()
            return found is not None and found is not than and found.server.is_running and found.role() == "master"

        wait_until(is_there, PATIENCE)
        return self.master()

    @contextmanager
    def failing_over_quickly(self) -> Iterator[None]:
        """Who does not answer for a second is down."""
        self.set("down-after-milliseconds", 1000)
        try:
            yield
        finally:
            self.set("down-after-milliseconds", DOWN_AFTER)

    def set(self, option: str, value: int) -> None:
        """Tell all Sentinels that run."""
        for each in self.sentinels:
            if each.server.is_running:
                each("SENTINEL", "SET", SERVICE, option, value)

    def fail_over(self) -> Node:
        """In good order: a replica takes the master's place. Returns who was master."""
        before = self.master()
        wait_until(self._begins_failover, PATIENCE)
        self.wait_for_a_master(before)
        return before

    def _begins_failover(self) -> bool:
        try:
            return bool(self.sentinels[0]("SENTINEL", "FAILOVER", SERVICE))
        except redis.ResponseError as error:
            if not re.search("INPROG|NOGOODSLAVE|NOGOODREPLICA", str(error)):
                raise
            return False

    def mend(self, *, forget: bool = True) -> None:
        """Put right what a test did: start who was killed or frozen, wait until they agree, and forget all keys."""
        for each in [*self.sentinels, *self.servers]:
            if not each.server.is_running:
                each.server.start()
            else:
                each.server.resume()
        try:
            wait_until(self._is_mended, PATIENCE)
        except TimeoutError:
            raise AssertionError(f"not mended: {self._state()}") from None
        if forget:
            self.master().client.flushall()

    def _state(self) -> list[str]:
        servers = [f"{each.address}: {each('INFO', 'replication').decode()}" for each in self.servers]
        return servers + [f"{each.address}: {each('SENTINEL', 'MASTER', SERVICE)}" for each in self.sentinels]

    def _is_mended(self) -> bool:
        """Let the servers be what all Sentinels take them for, which these do themselves, but ten seconds later."""
        master = self._named_by_all()
        if master is None or any("failover_in_progress" in self._seen(each)["flags"] for each in self.sentinels):
            return False
        for each in self.servers:
            is_master = each.role() == "master"
            if each is master and not is_master:
                each("REPLICAOF", "NO", "ONE")
            if each is not master and is_master:
                each("REPLICAOF", "127.0.0.1", master.server.port)
        return self._is_whole()

    def remove(self) -> None:
        for each in [*self.sentinels, *self.servers]:
            each.close()

    def _is_whole(self) -> bool:
        master = self._named_by_all()
        return master is not None and self._follow(master) and all(map(self._sees_all, self.sentinels))

    def _follow(self, master: Node) -> bool:
        told = master("INFO", "replication").decode()
        others = [each("INFO", "replication").decode() for each in self.servers if each is not master]
        return f"connected_slaves:{len(others)}" in told and all("master_link_status:up" in each for each in others)

    def _seen(self, sentinel: Node) -> dict[str, str]:
        """What a Sentinel knows of the master."""
        reply = [each.decode() for each in sentinel("SENTINEL", "MASTER", SERVICE)]
        return dict(zip(reply[::2], reply[1::2], strict=True))

    def _sees_all(self, sentinel: Node) -> bool:
        seen = self._seen(sentinel)
        counts = int(seen["num-other-sentinels"]) + 1, int(seen["num-slaves"]) + 1
        if counts != (len(self.sentinels), len(self.servers)) or seen["flags"] != "master":
            return False
        try:
            return f"OK {len(self.sentinels)} usable" in sentinel("SENTINEL", "CKQUORUM", SERVICE).decode()
        except redis.ResponseError:
            return False
