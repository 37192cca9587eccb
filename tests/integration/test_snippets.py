"""The web applications of the README as they stand, on two real processes each, posted to by many threads."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from threading import Thread

import pytest

from likes import LikeCounter
from tests.databases import Shelf
from tests.servers import free_port
from tests.shell import Shell
from tests.snippets import README, block
from tests.waiting import wait_until

THREADS, LIKES_A_THREAD, VIDEOS = 8, 50, 10
PATIENCE_SECONDS = 30
WARNINGS = "error,ignore::ResourceWarning"  # a process that ends need not close its counter

SETTINGS = """
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "mysite.urls"
"""
WSGI = """
import os
from django.core.wsgi import get_wsgi_application
os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
application = get_wsgi_application()
"""
USED_BEFORE_THE_FORK = """
likes.like("video:1")
assert likes.total("video:1") == 1
"""


@pytest.fixture
def likes(tmp_path: Path, valkey_url: str, postgres_shelf: Shelf) -> Iterator[Shell]:
    with postgres_shelf.lent() as database_url:
        yield Shell(tmp_path, redis_url=valkey_url, database_url=database_url)


@contextmanager
def served(snippet: str, likes: Shell) -> Iterator[int]:
    """The port on which both processes of the server answer that its first line says to start."""
    command = re.match(r"# \S+, run with: (\S+) (.+)", snippet)
    assert command, snippet
    assert "--workers 2" in command[2]
    port = free_port()
    address = ["--port", str(port)] if command[1] == "uvicorn" else ["--bind", f"127.0.0.1:{port}"]
    environment = {**likes.environment(), "PYTHONWARNINGS": WARNINGS}
    environment["PYTHONPATH"] += f"{os.pathsep}{likes.folder}"
    with subprocess.Popen(
        [str(Path(sys.executable).with_name(command[1])), *command[2].split(), *address],
        cwd=likes.folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as server:  # fmt: skip
        said: list[str] = []
        reader = Thread(target=lambda: said.extend(server.stderr or ()), daemon=True)
        reader.start()

        def both_are_up() -> bool:
            assert server.poll() is None, said
            return len(re.findall(r"Booting worker|Application startup complete", "".join(said))) == 2

        try:
            wait_until(both_are_up, timeout=PATIENCE_SECONDS)
            yield port
            server.terminate()
            assert server.wait(PATIENCE_SECONDS) in (0, -signal.SIGTERM), said  # uvicorn ends by the signal it was sent
            assert "Traceback" not in "".join(said), said
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGKILL)
            reader.join()


def ask(port: int, method: str, path: str) -> dict[str, int]:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return json.loads(body)
    finally:
        connection.close()


def post_from_many_threads(port: int) -> Counter[str]:
    """What was liked how often."""

    def post(seed: int) -> Counter[str]:
        videos = [1 + Random(seed + i).randrange(VIDEOS) for i in range(LIKES_A_THREAD)]
        for video in videos:
            assert ask(port, "POST", f"/videos/{video}/likes")["pending"] > 0
        return Counter(f"video:{video}" for video in videos)

    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(post, range(0, 1000 * THREADS, 1000)), Counter())


def assert_all_counted(likes: Shell, posted: Counter[str]) -> None:
    """Live at once, and in the database after a flush."""
    places = {name: likes.settings[name] for name in ("redis_url", "database_url")}
    with LikeCounter(**places) as counter:
        assert counter.totals(posted) == posted
        assert likes("flush", "--json").json["delta"] == posted.total()
        assert counter.totals(posted) == posted
    assert {total["item"]: total["total"] for total in likes("totals", "--json").json} == posted
    assert likes("audit", "--json").json["ok"]


def test_fastapi(likes: Shell) -> None:
    snippet = block(README, "python", "FastAPI(")
    (likes.folder / "app.py").write_text(snippet)
    with served(snippet, likes) as port:
        posted = post_from_many_threads(port)
    assert_all_counted(likes, posted)


def test_flask_with_a_page_of_fifty_and_a_counter_used_before_the_fork(likes: Shell) -> None:
    snippet, page = block(README, "python", "Flask("), block(README, "python", '@app.get("/videos")')
    (likes.folder / "app.py").write_text(snippet + page + USED_BEFORE_THE_FORK)
    with served(snippet, likes) as port:
        posted = Counter({"video:1": 1}) + post_from_many_threads(port)
        assert ask(port, "GET", "/videos") == {f"video:{video}": posted[f"video:{video}"] for video in range(1, 51)}
    assert_all_counted(likes, posted)


def test_django(likes: Shell) -> None:
    snippet = block(README, "python", "urlpatterns")
    site = likes.folder / "mysite"
    site.mkdir()
    for name, text in {"__init__": "", "settings": SETTINGS, "wsgi": WSGI, "urls": snippet}.items():
        (site / f"{name}.py").write_text(text)
    with served(snippet, likes) as port:
        posted = post_from_many_threads(port)
    assert_all_counted(likes, posted)
