"""A counter that is inherited by a forked child counts there, whatever its parent was about, and however it forked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.rig import Rig

# What every program begins with. A child that hangs is ended by its alarm.
PROLOGUE = """
import ctypes, faulthandler, os, signal, sys, threading
from likes import LikeCounter

likes = LikeCounter(redis_url=sys.argv[1], database_url=sys.argv[2], shards=2, redis_timeout=60)

def in_a_child(fork, work):
    child = fork()
    if child == 0:
        faulthandler.register(signal.SIGALRM, all_threads=True, chain=True)
        signal.alarm(20)
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return child

def join(child):
    assert os.waitpid(child, 0)[1] == 0, "the child failed, or hung"
"""


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, sqlite_engine, shards=2) as rig:
        yield rig


@pytest.fixture
def any_rig(valkey_url: str, engine: Engine) -> Iterator[Rig]:
    """On each kind of database."""
    with Rig(valkey_url, engine, shards=2) as rig:
        yield rig


def run(program: str, rig: Rig) -> None:
    """Run a program on this Redis and this database."""
    done = subprocess.run(
        [sys.executable, "-c", PROLOGUE + program, str(rig.places.redis), str(rig.places.database)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr


FORKS = {
    "with Python's hooks": "os.fork",
    "without them": "ctypes.PyDLL(None).fork",  # as a server written in C does
}


@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS.keys())
def test_a_child_numbers_its_likes_anew(rig: Rig, fork: str) -> None:
    """With its parent's producers, Redis would take its likes for resends of the parent's."""
    run(
        f"""
for _ in range(3):
    likes.like("video:1")
    assert likes.total("video:1") > 0

def work():
    for _ in range(50):
        likes.like("video:1")
        likes.add({{"child": 1}})
        likes.total("video:1")

child = in_a_child({fork}, work)
for _ in range(50):
    likes.like("video:1")
    likes.add({{"parent": 1}})
    likes.total("video:1")
join(child)
""",
        rig,
    )
    rig.flush()
    assert rig.totals() == {"video:1": 103, "child": 50, "parent": 50}


@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS.keys())
def test_a_fork_while_another_thread_opens_a_link(rig: Rig, fork: str) -> None:
    run(
        f"""
from likes.connect import Places

opening, go_on = threading.Event(), threading.Event()
open_link = Places.open_link

def slowly(places):
    opening.set()
    go_on.wait()
    return open_link(places)

Places.open_link = slowly
thread = threading.Thread(target=likes.like, args=["video:1"])
thread.start()
opening.wait()

def work():
    Places.open_link = open_link
    assert likes.like("video:1") == 1
    assert likes.total("video:1") == 1

child = in_a_child({fork}, work)
join(child)
go_on.set()
thread.join()
assert likes.total("video:1") == 2
""",
        rig,
    )


def test_a_fork_while_another_thread_imports_and_opens_a_database(any_rig: Rig) -> None:
    run(
        """
from likes.connect import Places

opening = threading.Event()
open_database = Places.open_database

def told(places):
    opening.set()
    return open_database(places)

Places.open_database = told
thread = threading.Thread(target=likes.total, args=["video:1"])
thread.start()
opening.wait()
join(in_a_child(os.fork, lambda: likes.total("video:1")))
thread.join()
""",
        any_rig,
    )


def test_forks_while_other_threads_like_and_read(any_rig: Rig) -> None:
    """At any moment one of them is within one lock or another."""
    run(
        """
over = threading.Event()

def busy():
    while not over.is_set():
        likes.like("busy")
        likes.total("busy")

threads = [threading.Thread(target=busy, daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()

def work():
    likes.like("video:1")
    assert likes.total("video:1") > 0

for _ in range(25):
    join(in_a_child(os.fork, work))
over.set()
for thread in threads:
    thread.join()
""",
        any_rig,
    )
    any_rig.flush()
    assert any_rig.totals()["video:1"] == 25


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="it tells a process's open files")
def test_no_child_inherits_an_open_sqlite(rig: Rig) -> None:
    """It would take its parent's locks on the file for its own."""
    run(
        """
over = threading.Event()

def busy():
    while not over.is_set():
        likes.total("busy")

thread = threading.Thread(target=busy, daemon=True)
thread.start()
path = sys.argv[2].partition(":///")[2]

def is_open():
    files = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
    return any(os.readlink(file).startswith(path) for file in files if os.path.islink(file))

def work():
    assert not is_open()
    likes.total("video:1")
    assert is_open()

likes.total("busy")
for _ in range(10):
    join(in_a_child(os.fork, work))
over.set()
thread.join()
""",
        rig,
    )


def test_a_child_of_a_child(rig: Rig) -> None:
    run(
        """
def work():
    likes.like("video:1")
    join(in_a_child(os.fork, lambda: likes.like("video:1")))
    likes.like("video:1")

likes.like("video:1")
join(in_a_child(os.fork, work))
likes.like("video:1")
assert likes.total("video:1") == 5
""",
        rig,
    )


def test_what_a_child_closes_goes_on_in_its_parent(rig: Rig) -> None:
    run(
        """
likes.like("video:1")
likes.total("video:1")

def work():
    likes.like("video:1")
    likes.close()
    assert likes.total("video:1") == 2

join(in_a_child(os.fork, work))
assert likes.total("video:1") == 2
assert likes.like("video:1") == 3
""",
        rig,
    )


def test_a_stopped_database_frees_a_reader_in_a_child(rig: Rig) -> None:
    """The thread that ends transactions is not there in a child; without Python's hooks, it seemed to be."""
    run(
        """
from likes.sql.watchdog import watchdogs
import socket

def watch():
    here, there = socket.socketpair()
    with here, there, watchdogs.get().watching(here.fileno(), 0.05):
        assert here.recv(1) == b""  # ends as the socket is shut

watch()
join(in_a_child(ctypes.PyDLL(None).fork, watch))
join(in_a_child(os.fork, watch))
""",
        rig,
    )
