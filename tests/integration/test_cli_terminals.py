"""The command where terminals are odd: narrow, dumb, or unable to show what an item is called."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from likes import embedded
from tests.shell import Ran, Shell
from tests.waiting import wait_until

SNOWMAN = "☃ a snowman"


@pytest.fixture(scope="module")
def likes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    shell = Shell(tmp_path_factory.mktemp("likes"))
    yield shell
    embedded.stop(shell.folder / "data")


class Page(Shell):
    """A shell whose terminal has so many columns, for what goes by them alone."""

    def __init__(self, columns: int, folder: Path) -> None:
        super().__init__(folder)
        self.columns = columns

    def environment(self, **settings: object) -> dict[str, str]:
        return {**super().environment(**settings), "COLUMNS": str(self.columns)}


def run(shell: Shell, *words: str | bytes, **environment: str) -> Ran:
    """Run it from scratch in an environment of its own."""
    ran = subprocess.run(
        [sys.executable, "-m", "likes", *words],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        cwd=shell.folder,
        env={**shell.environment(), **environment},
        check=False,
    )
    return Ran(ran.returncode, ran.stdout.decode(errors="replace"), ran.stderr.decode(errors="replace"))


def on_terminal(shell: Shell, *words: str, until: Callable[[str], bool] | None = None, **environment: str) -> str:
    """All it shows on a terminal, to its end or until that is enough."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "likes", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=shell.folder,
        env={**shell.environment(), "NO_COLOR": "1", **environment},
    )
    os.close(theirs)
    shown = b""
    with process, os.fdopen(ours, "rb", buffering=0) as terminal, suppress(OSError):  # Linux: the other side is gone
        while (until is None or not until(shown.decode())) and (some := terminal.read(4096)):
            shown += some
        process.terminate()
    return shown.decode()


# Encodings.


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_cannot_be_shown_is_escaped(likes: Shell, encoding: str) -> None:
    before = likes("get", SNOWMAN, "--json").json[0]["total"]
    posted = run(likes, "post", SNOWMAN, PYTHONIOENCODING=encoding)
    assert (posted.code, posted.err) == (0, "")
    assert posted.out.startswith(r"\u2603 a snowman: ")
    assert likes("get", SNOWMAN, "--json").json[0]["total"] == before + 1
    assert likes("flush").code == 0
    for words in (["get", SNOWMAN], ["totals"], ["totals", "--csv"], ["totals", SNOWMAN, "--json"]):
        shown = run(likes, *words, PYTHONIOENCODING=encoding)
        assert (shown.code, shown.err) == (0, "")
        assert r"\u2603 a snowman" in shown.out


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize("utf8", [{}, {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
def test_an_item_is_its_bytes_whatever_the_locale(likes: Shell, locale: str, utf8: dict[str, str]) -> None:
    before = likes("get", SNOWMAN, "--json").json[0]["total"]
    posted = run(likes, "post", SNOWMAN.encode(), LC_ALL=locale, **utf8)
    assert (posted.code, posted.err) == (0, "")
    assert likes("get", SNOWMAN, "--json").json[0]["total"] == before + 1
    assert run(likes, "post", b"\xff", LC_ALL=locale, **utf8).code == 2


@pytest.mark.parametrize("words", [["--help"], ["post", "--help"], ["check"], ["status", "-v"], ["no such ☃"]])
def test_every_page_can_be_shown_in_ascii(likes: Shell, words: list[str]) -> None:
    shown = run(likes, *words, PYTHONIOENCODING="ascii")
    assert shown.code in (0, 2)
    assert shown.out.isascii() and shown.err.isascii()
    assert "Unicode" not in shown.err


def test_an_error_names_an_item_that_cannot_be_shown(likes: Shell) -> None:
    refused = run(likes, "post", "☃" * 200, PYTHONIOENCODING="ascii")
    assert refused.code == 2
    assert refused.err.startswith(r"Error: item '\u2603\u2603")


# Terminals.


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_watched_status_goes_on_line_by_line_where_nothing_can_be_replaced(likes: Shell, term: str) -> None:
    shown = on_terminal(likes, "status", "--watch", TERM=term, until=lambda text: text.count("pending items: ") == 2)
    assert "\x1b" not in shown


def test_a_watched_status_is_replaced_on_a_screen(likes: Shell) -> None:
    shown = on_terminal(
        likes, "status", "--watch", TERM="xterm-256color", until=lambda text: text.count("pending items") == 2
    )
    assert "\x1b[" in shown


@pytest.mark.parametrize("term", ["dumb", "xterm-256color"])
@pytest.mark.parametrize("words", [["status", "-v"], ["totals"], ["history"], ["check"]])
def test_at_forty_columns_every_word_is_there(likes: Shell, words: list[str], term: str) -> None:
    likes("post", SNOWMAN)
    likes("flush")
    shown = on_terminal(likes, *words, TERM=term, COLUMNS="40", LINES="20")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
    assert "…" not in shown
    assert max(map(len, lines)) <= 40
    for name in {"status": ["pending items"], "totals": ["updated at"], "history": ["duration ms"]}.get(words[0], []):
        assert any(line.startswith(name) for line in lines), lines


def test_help_at_forty_columns_cuts_no_name(tmp_path: Path) -> None:
    from cli.settings import TYPED

    narrow = Page(40, tmp_path)
    page = narrow("--help").out
    assert max(map(len, page.splitlines())) <= 42, "the least that click takes for a name and its words"
    assert all(f"{flag} " in page for flag in TYPED.values())
    assert "  $ likes post video:42\n  $ likes get video:42\n" in page
    assert "  $ likes post video:42\n  $ likes post" in narrow("post", "--help").out
    assert narrow() == Ran(2, page, "")
    assert Page(1, tmp_path)("--help").code == 0


# Pages of help.


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_flag_takes_nothing_and_says_so(tmp_path: Path, columns: int) -> None:
    for command in ("", "post", "worker", "check", "totals", "migrate", "embedded", "embedded stop"):
        page = Page(columns, tmp_path)(*command.split(), "--help").out
        assert "--help" in page
        assert "<bool>" not in page, command


def test_the_page_of_the_worker_shows_its_settings(tmp_path: Path) -> None:
    page = Page(80, tmp_path)("worker", "--help").out
    assert "--interval" in page
    assert "time between scheduled flushes" in page
    assert "--redis-url" in Page(80, tmp_path)("post", "--help").out, "where the others are"


def test_help_and_version_may_be_asked_for_by_name(likes: Shell) -> None:
    assert likes("help") == likes("--help")
    assert likes("help", "post") == likes("post", "--help")
    assert likes("--prefix", "x", "help", "embedded", "stop") == likes("embedded", "stop", "--help")
    assert likes("version") == likes("--version")
    assert likes("help", "nothing").err.startswith("Error: No such command 'nothing'")
    assert likes("post", "help").out == "help: 1 pending\n"


def test_a_shard_that_is_not_there_is_named(likes: Shell) -> None:
    likes("flush")
    refused = likes("history", "--shard", "99")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == "Error: there is no shard 99: the shards are 0 to 15\n"
    assert likes("history", "--shard", "15").code == 0
    assert likes("history", "--shard", "15", shards=4).code == 0, "the database knows it"
    assert likes("history", "--shard", "99", shards=100).code == 0


# Signals.


def test_a_signal_that_a_library_swallows_ends_it_all_the_same(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from cli.exits import run

class Swallows:
    def __del__(self):
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
        for _ in range(1000): pass

def command():
    Swallows()
    print("it went on")

sys.exit(run(command, verbose=False))
"""
    for name, code in (("SIGTERM", 143), ("SIGINT", 130)):
        ran = subprocess.run(
            [sys.executable, "-c", program, name],
            capture_output=True,
            env={**Shell(tmp_path).environment()},
            check=False,
        )
        assert (ran.returncode, ran.stdout, ran.stderr) == (code, b"", b"")


def test_as_the_first_process_of_a_container_it_ends_while_it_still_loads(tmp_path: Path) -> None:
    program = """
import os, sys, types
class Loading(types.ModuleType):
    def __getattr__(self, name):
        open("loading", "w").close()
        while True: pass
sys.modules["cli.app"] = Loading("cli.app")
from cli.main import main
main()
"""
    command = ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c", program]
    if subprocess.run([*command[:4], "true"], capture_output=True, check=False).returncode:
        pytest.skip("no right to make a pid namespace")
    with subprocess.Popen(command, cwd=tmp_path, env=Shell(tmp_path).environment()) as outside:
        wait_until((tmp_path / "loading").exists, timeout=30)
        (first,) = Path(f"/proc/{outside.pid}/task/{outside.pid}/children").read_text().split()
        os.kill(int(first), 15)
        assert outside.wait(10) == 143
