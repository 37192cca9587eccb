"""The wheel in a venv, run beside an application that has a `worker`, a `cli`, `tests` and an `alembic` of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copy
from zipfile import ZipFile

import pytest

from likes import embedded
from tests.installed import CHECKOUT, Stranger, build, build_source, install, site_packages

PACKAGES = ("worker", "tests", "alembic", "sqlalchemy")
MODULES = ("cli", "redis", "typer")

# In this order: later ones find what the earlier ones left. What each prints, or a part of it.
COMMANDS = {
    "post video:42 --count 3": "",
    "unlike video:42": "",
    "get video:42": "2",
    "check": "nothing was flushed yet",
    "flush": "1 batch",
    "totals": "video:42",
    "status": "pending items      0",
    "history": "applied at",
    "cache warm": "1 total cached",
    "cache stats": "entries",
    "cache clear": "1 total dropped",
    "audit": "all likes are accounted for",
    "migrate": "already at revision",
    "migrate --sql": "CREATE TABLE likes_totals",
    "adopt --yes": "nothing to do",
    "reshard 16 --yes": "likes are held in 16 shards",
    "demo --seconds 5": "exactly",
    "embedded status": "running   True",
    "embedded stop": "stopped",
    "--version": "likes 0.",
    "--help": "Usage: likes",
}

# The command, and then in the same process who is found under names that others have too.
PROBE = """
import sys
from likes.__main__ import main

sys.argv = ["likes", "--version"]
try:
    main()
except SystemExit as end:
    assert not end.code
import http.client, alembic.config, cli.main, redis, sqlalchemy, typer, worker.run
for module in (http.client, alembic.config, cli.main, redis, sqlalchemy, typer, worker.run):
    print(module.__file__)
"""

USE = """
from likes import *

with LikeCounter.from_settings() as likes:
    likes.like("video:42")
    print(likes.total("video:42"))
import cli, worker
assert cli.MINE and worker.MINE
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(CHECKOUT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def place(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A venv with nothing but the wheel and what it needs."""
    place = tmp_path_factory.mktemp("place") / "venv"
    installed = install(wheel, place)
    assert len(installed) == 2
    assert {name.partition("-")[0] for name in installed} == {"likes"}
    # As a later release may have them: nobody may take them for the standard library's, or for what redis looks for.
    for name in ("http", "hiredis"):
        (site_packages(place) / "likes" / f"{name}.py").write_text("raise RuntimeError('a module in likes')\n")
    return place


def test_the_wheel_carries_the_page(wheel: Path) -> None:
    page = {f"likes/api/page/{path.name}" for path in (CHECKOUT / "likes" / "api" / "page").iterdir()}
    assert len(page) == 5
    assert page <= {*ZipFile(wheel).namelist()}


@pytest.fixture(scope="module")
def application(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    folder = tmp_path_factory.mktemp("stranger") / "app"
    folder.mkdir()
    for name in PACKAGES:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise RuntimeError('a package of the application')\n")
    for name in MODULES:
        (folder / f"{name}.py").write_text("raise RuntimeError('a module of the application')\n")
    stranger = Stranger(folder, place / "bin" / "python")
    yield stranger
    embedded.stop(stranger.data)


def test_the_wheel_holds_the_library_and_in_one_folder_the_command(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"likes"}
    assert {name.split("/")[2] for name in names if name.startswith("likes/_command/")} == {"worker", "cli", "alembic"}
    assert "likes/py.typed" in names


def test_the_source_distribution_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    again = build(build_source(tmp_path / "source"), tmp_path)
    assert {i.filename: i.CRC for i in ZipFile(again).infolist()} == {
        i.filename: i.CRC for i in ZipFile(wheel).infolist()
    }


def test_every_command_runs_beside_an_application(application: Stranger) -> None:
    likes = application.python.parent / "likes"
    for words, printed in COMMANDS.items():
        assert printed in application.run(likes, *words.split()), words


def test_so_does_the_worker(application: Stranger) -> None:
    with application.start(application.python.parent / "likes", "worker", "--log-format", "json") as worker:
        assert worker.stderr
        assert json.loads(worker.stderr.readline())
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=30) == 0


def test_these_are_all_commands() -> None:
    from cli.app import COMMANDS as ALL

    tested = {words.split()[0] for words in COMMANDS} | {"worker", "serve"}
    assert tested >= {command.__name__ for commands in ALL.values() for command in commands}


@pytest.mark.parametrize("way", [["-m", "likes"], ["LIKES"], ["LIKES/__main__.py"], ["-P", "LIKES/__main__.py"]])
def test_it_may_be_started_in_any_way(application: Stranger, place: Path, way: list[str]) -> None:
    words = [word.replace("LIKES", str(site_packages(place) / "likes")) for word in way]
    assert "pending items" in application.run(application.python, *words, "status")


def test_a_process_it_starts_does_not_take_its_modules_for_others(application: Stranger, place: Path) -> None:
    program = "from likes.installation import command_line; print('\\n'.join(command_line('--version')))"
    command = application.run(application.python, "-c", program).splitlines()
    module = site_packages(place) / "likes" / "typing.py"
    module.write_text("raise RuntimeError('a module in likes')\n")
    try:
        assert application.run(*command).startswith("likes 0.")
    finally:
        module.unlink()


def test_it_finds_the_standard_library_its_own_modules_and_its_libraries(application: Stranger, place: Path) -> None:
    standard, *ours = application.run(application.python, "-c", PROBE).splitlines()[1:]
    assert Path(standard).parents[1] == Path(os.__file__).parent
    assert ours
    assert [file for file in ours if not Path(file).is_relative_to(site_packages(place))] == []


def test_so_does_a_checkout(application: Stranger) -> None:
    checkout = Stranger(application.folder, Path(sys.executable))
    standard, *ours = checkout.run(checkout.python, "-c", PROBE).splitlines()[1:]
    assert Path(standard).parents[1] == Path(os.__file__).parent
    assert ours
    assert [file for file in ours if Path(file).is_relative_to(application.folder)] == []
    assert checkout.run(checkout.python, "-m", "likes", "--version").startswith("likes ")


def test_an_application_gets_the_library_and_its_own_modules(place: Path, tmp_path: Path) -> None:
    application = Stranger(tmp_path / "app", place / "bin" / "python")
    application.folder.mkdir()
    for name in ("worker", "cli"):
        (application.folder / f"{name}.py").write_text("MINE = True\n")
    try:
        assert application.run(application.python, "-c", USE) == "1\n"
    finally:
        embedded.stop(application.data)


def test_its_types_are_known_where_it_is_installed(place: Path, tmp_path: Path) -> None:
    program = copy(CHECKOUT / "tests" / "typing" / "usage.py", tmp_path)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", "cache",
         "--python-executable", place / "bin" / "python", program],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr
