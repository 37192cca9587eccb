"""The command as a process: quick to help, quiet in a pipe, friendly on a terminal, and what signals do to it."""

from __future__ import annotations

import os
import pty
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert

from likes import embedded
from likes.sql.engine import open_engine, writing
from likes.sql.schema import migrate
from likes.sql.tables import totals
from tests.shell import Shell
from tests.waiting import wait_until

HELP_SECONDS = 0.3 if not os.environ.get("CI") else 1.0  # of processor time: other tests may be running

COMMANDS = [
    *("post", "unlike", "get", "totals", "demo"),
    *("worker", "flush", "status", "history"),
    *("check", "audit", "migrate", "adopt", "embedded"),
]


@pytest.fixture(scope="module")
def likes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    shell = Shell(tmp_path_factory.mktemp("likes"))
    yield shell
    embedded.stop(shell.folder / "data")


def test_help_comes_at_once(likes: Shell) -> None:
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with likes.start("--help") as process:
            process.communicate()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) < HELP_SECONDS


def test_help_lists_every_command_and_setting(likes: Shell) -> None:
    from cli.settings import TYPED
    from likes.config.settings import Settings

    assert set(Settings.model_fields) == set(TYPED)
    shown = likes("--help").out
    for word in [*COMMANDS, *TYPED.values()]:
        assert re.search(rf"{word}\b", shown), word


def test_the_version(likes: Shell) -> None:
    assert re.fullmatch(r"likes (\d+\.\d+\.\d+|is not installed)\n", likes("--version").out)


def test_without_arguments_it_helps(likes: Shell) -> None:
    assert "Usage: likes" in likes().out


def test_the_worker_flushes_until_it_is_told_to_stop(likes: Shell) -> None:
    worker = likes.start("worker", "--interval", "0.2")
    with worker:
        likes("post", "worked")
        wait_until(lambda: likes("totals", "worked", "--json").json[0]["total"] == 1, timeout=30)
        worker.send_signal(signal.SIGTERM)
        out, err = worker.communicate(timeout=30)
    assert (worker.returncode, out) == (0, b"")
    assert b"SIGTERM" in err


def test_a_watched_status_ends_by_ctrl_c(likes: Shell) -> None:
    with likes.start("status", "--watch") as watching:
        assert watching.stdout
        assert watching.stdout.readline().startswith(b"pending items: ")
        watching.send_signal(signal.SIGINT)
        _, err = watching.communicate(timeout=30)
    assert (watching.returncode, err) == (130, b"")


@pytest.fixture
def many(tmp_path: Path, sqlite_url: str) -> Shell:
    """More totals than a pipe holds."""
    engine = open_engine(sqlite_url, timeout=10)
    migrate(engine)
    now = datetime.now(UTC)
    rows = [{"counter": "likes", "item": f"video:{i:05}", "total": i, "updated_at": now} for i in range(12_000)]
    with writing(engine) as connection:
        connection.execute(insert(totals), rows)
    engine.dispose()
    return Shell(tmp_path, database_url=sqlite_url)


def test_all_totals_come_in_the_order_of_their_names(many: Shell) -> None:
    rows = many("totals", "--csv").out.splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == [f"video:{i:05}" for i in range(12_000)]


def test_a_reader_who_goes_away_is_no_error(many: Shell) -> None:
    with many.start("totals", "--csv") as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == b"item,counter,total,updated_at\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_nor_is_one_who_goes_away_before_the_help_comes(likes: Shell) -> None:
    with likes.start("--help") as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def on_terminal(shell: Shell, *words: str, typed: bytes = b"", **settings: object) -> tuple[int, str]:
    """Run it on a terminal; its exit code and all that was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "likes", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=shell.folder,
        env={**shell.environment(**settings), "TERM": "xterm-256color", "NO_COLOR": "1"},
    )
    os.close(theirs)
    os.write(ours, typed)
    shown = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        try:
            while some := terminal.read(4096):
                shown += some
        except OSError:  # Linux says so when the other side is gone
            pass
    return process.wait(timeout=30), shown.decode()


def test_a_terminal_gets_tables_without_colours_if_it_wants_none(many: Shell) -> None:
    code, shown = on_terminal(many, "totals", "--top", "1")
    assert code == 0
    assert "11,999" in shown
    assert "\x1b[3" not in shown


def test_adopt_asks_on_a_terminal(likes: Shell) -> None:
    likes("flush")
    code, shown = on_terminal(likes, "adopt", typed=b"n\n", redis_name="elsewhere")
    assert code == 1
    assert "[y/N]" in shown
    assert likes("flush").code == 0
