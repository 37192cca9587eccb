"""`likes demo` as a process: it says what it should, leaves nothing behind, and notices when a count is wrong."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from cli.demo import play
from cli.demo.gauge import Figures
from cli.demo.page import Page
from cli.demo.picture import Picture
from cli.demo.reckoning import Difference, Reckoning
from cli.demo.report import show_verdict
from cli.demo.source import changes_between, last_counts, read_counts
from cli.demo.stage import open_stage
from cli.demo.view import View
from tests.event_reader import events


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where temporary folders go; with settings around that would lead the demo astray."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / ".env").write_text("LIKES_SHARDS=3\n")
    folder = tmp_path / "t"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("LIKES_REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("LIKES_DATABASE_URL", "sqlite:////nowhere/at/all.db")
    monkeypatch.setenv("LIKES_PREFIX", "other")
    return folder


def start(*options):
    command = [sys.executable, "-m", "likes", "demo", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def left_behind(folder):
    """What is still in the folder, and the processes whose working directory is, or was, in it."""
    working = [str(link.readlink()) for link in Path("/proc").glob("[0-9]*/cwd") if os.access(link, os.R_OK)]
    return [*folder.iterdir(), *(place for place in working if place.startswith(f"{folder}/"))]


def test_every_count_is_that_of_the_source(folder):
    demo = start("--seconds", "6")
    said, errors = demo.communicate()

    assert (demo.returncode, errors) == (0, "")
    assert "in the middle of a flush. In flight:" in said
    assert "Posted 75,096,866 = in the database 75,096,866." in said
    assert "videos with likes                          2,340  of 2,364" in said
    assert " 1  MBdVXkSdhwU    2,010,366" in said
    assert max(map(len, said.splitlines())) <= 80
    assert left_behind(folder) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_nothing_is_left_when_it_is_interrupted(folder, number, code):
    demo = start()
    assert any("clients post" in line for line in demo.stdout)
    demo.send_signal(number)
    _, errors = demo.communicate()

    assert demo.returncode == code
    assert "Traceback" not in errors
    assert left_behind(folder) == []


STRUCK_WHILE_A_CONNECTION_IS_GIVEN_BACK = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.pool import Pool
from cli.main import main

number = signal.Signals[sys.argv[1]]
sys.argv[1:] = ["demo"]
event.listen(Pool, "reset", lambda *_: os.kill(os.getpid(), number), once=True)
main()
"""


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_an_interruption_within_a_library_is_no_traceback(folder, name, code):
    command = [sys.executable, "-c", STRUCK_WHILE_A_CONNECTION_IS_GIVEN_BACK, name]
    demo = subprocess.run(command, capture_output=True, text=True, check=False)

    assert demo.returncode == code
    assert "Traceback" not in demo.stderr
    assert left_behind(folder) == []


def address_in(lines):
    return next(line.split()[-1] for line in lines if line.startswith("watch it in a browser: "))


def test_its_page_can_be_watched_and_stays_up_if_asked_to(folder):
    demo = start("--seconds", "5", "--serve")
    said = []
    for line in demo.stdout:
        said.append(line)
        if "Ctrl-C ends it" in line:
            break
    address = address_in(said)
    page = httpx.get(address)
    assert (page.status_code, "<title>likes</title>" in page.text) == (200, True)
    with httpx.Client(base_url=address) as client, events(client, "/v1/overview/events") as stream:
        assert stream.event("overview").data["now"]["database_total"] == 75_096_866
    demo.send_signal(signal.SIGINT)
    last, errors = demo.communicate()
    assert (demo.returncode, errors) == (0, "")
    assert "Posted 75,096,866 = in the database 75,096,866." in last
    assert left_behind(folder) == []


def test_without_the_extra_it_goes_on_and_says_how_to_get_the_page(folder, monkeypatch):
    monkeypatch.setattr("cli.demo.page.find_spec", lambda name: None)
    with open_stage() as stage:
        page = Page(stage)
        assert page.words == "no page in the browser: pip install 'likes[http]'"
        page.stay()


def test_nothing_is_left_when_nobody_reads_on(folder):
    demo = start()
    assert any("clients post" in line for line in demo.stdout)
    demo.stdout.close()
    errors = demo.stderr.read()

    assert (demo.wait(), errors) == (141, "")
    assert left_behind(folder) == []
    demo.stderr.close()


def test_a_count_that_differs_from_the_source_is_a_failure(folder, monkeypatch, capsys):
    monkeypatch.setattr(play, "last_counts", lambda counts: last_counts(counts) | {"-1fzGnFwz9M": 1})

    assert play.play(5) is False
    said = capsys.readouterr().out
    assert "-1fzGnFwz9M has " in said
    assert "Something is not as it should be" in said
    assert left_behind(folder) == []


EXACT = Reckoning(
    source=5,
    posted=5,
    database=5,
    videos=3,
    liked=2,
    differences=(),
    left=0,
    caught=1,
    survived=1,
    dead_letters=0,
    incidents=0,
)


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": 6},
        {"posted": 4},
        {"database": 6},
        {"differences": (Difference("a", 1, 2), Difference("b", 2, 1))},
        {"left": 1},
        {"survived": 0},
        {"dead_letters": 1},
        {"incidents": 1},
    ],
)
def test_anything_wrong_is_no_success(wrong):
    assert EXACT.is_exact
    assert not EXACT._replace(**wrong).is_exact


def test_a_machine_too_slow_to_catch_a_flush_is_told_how_to():
    said = io.StringIO()
    show_verdict(Console(file=said), EXACT._replace(caught=0, survived=0), 7)
    assert "Nothing lost, nothing counted twice." in said.getvalue()
    assert "--seconds 30" in said.getvalue()


def test_the_source_is_what_it_is_said_to_be():
    counts = read_counts()
    changes = changes_between(counts)

    assert len(counts) == 7992
    assert len(changes) == 7807
    assert sum(change.likes < 0 for change in changes) == 8
    assert sum(likes > 0 for likes in last_counts(counts).values()) == 2340
    assert sum(last_counts(counts).values()) == sum(change.likes for change in changes) == 75_096_866


def test_the_picture_shows_where_the_likes_are():
    drawn = io.StringIO()
    with Picture(Console(file=drawn, force_terminal=True, width=80, height=24, color_system=None)) as picture:
        picture.tell(1.0, "SIGKILL for worker 7")
        picture.show(View(expected=100, done=0.5, figures=Figures(posted=50, database=30, in_flight=1, pending=19)))

    lines = drawn.getvalue().splitlines()
    assert any("█████████████▓▒▒▒▒▒▒▒▒░░░" in line for line in lines)
    assert any("▓ in flight" in line and " 1 " in line for line in lines)
    assert any("SIGKILL for worker 7" in line for line in lines)
