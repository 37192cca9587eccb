"""Every command of the README and its first lines of Python, run as they stand; `test_snippets` runs the others."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.servers import free_port
from tests.snippets import README, block, blocks

# What differs from run to run.
VARIES = [(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "MOMENT"), (r"\d+\.\d+ s", "SECONDS"), (r" +", " ")]


def commands(language: str) -> list[tuple[str, list[str]]]:
    """The commands of all blocks in a language, each with the lines it prints."""
    found: list[tuple[str, list[str]]] = []
    for text in blocks(README, language):
        for line in text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def alike(printed: list[str], expected: list[str]) -> bool:
    """True if the lines are the same but for moments and seconds; `...` stands for any lines."""

    def plain(lines: list[str]) -> str:
        text = "\n".join(line.rstrip() for line in lines)
        for pattern, name in VARIES:
            text = re.sub(pattern, name, text)
        return text

    pattern = re.escape(plain(expected)).replace(r"\.\.\.", ".*")
    return re.fullmatch(pattern, plain(printed), re.DOTALL) is not None


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A machine where nothing is set up but the command `likes`."""
    scripts = tmp_path / "bin"
    scripts.mkdir()
    (scripts / "likes").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m likes "$@"\n')
    (scripts / "likes").chmod(0o755)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LIKES_")}
    yield {
        **clean,
        "PATH": f"{scripts}:{clean['PATH']}",
        "PYTHONPATH": str(README.parent),
        "LIKES_DATA_DIR": str(tmp_path / "data"),
    }
    subprocess.run([scripts / "likes", "embedded", "stop"], env={**clean, "LIKES_DATA_DIR": str(tmp_path / "data")},
                   cwd=README.parent, check=False)  # fmt: skip


def run(command: str, environment: dict[str, str], folder: Path) -> tuple[int, list[str]]:
    """Its exit code and what it printed; a worker, which has no end of its own, is ended once it is up."""
    is_endless = command == "likes worker"
    with subprocess.Popen(
        ["bash", "-c", f"exec {command}" if is_endless else command],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        started = process.stderr.readline() if is_endless else ""
        if is_endless:
            process.terminate()
        out, err = process.communicate()
    return process.returncode, [*(started + err).splitlines(), *out.splitlines()]


@contextmanager
def served(environment: dict[str, str], folder: Path) -> Iterator[list[str]]:
    """What `likes serve` says until it takes requests; it goes on until the end of the block."""
    with subprocess.Popen(
        ["bash", "-c", "exec likes serve"], env=environment, cwd=folder, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        said: list[str] = []
        while "serving on" not in "".join(said):
            said.append(process.stderr.readline())
            assert said[-1], said
        yield "".join(said).splitlines()
        process.terminate()
        process.communicate()


def test_the_commands_print_what_the_readme_says(
    environment: dict[str, str], tmp_path: Path, valkey_url: str, postgres_url: str
) -> None:
    environment["LIKES_HTTP_PORT"] = str(free_port())
    with ExitStack() as running:
        for command, expected in commands("console"):
            as_it_stands(command, expected, environment, tmp_path, running, {
                "LIKES_REDIS_URL": valkey_url, "LIKES_DATABASE_URL": postgres_url,
            })  # fmt: skip


def as_it_stands(
    command: str,
    expected: list[str],
    environment: dict[str, str],
    folder: Path,
    running: ExitStack,
    servers: dict[str, str],
) -> None:
    """Run a command of the README and compare what it prints. The API answers on another port than there."""
    if command.startswith("export "):
        name, _, _ = command.removeprefix("export ").partition("=")
        environment[name] = servers[name]
        return
    if command == "likes serve":
        code, printed = 0, running.enter_context(served(environment, folder))
    else:
        code, printed = run(command.replace(":8080", f":{environment['LIKES_HTTP_PORT']}"), environment, folder)
    printed = [line.replace(f":{environment['LIKES_HTTP_PORT']}", ":8080") for line in printed]
    assert code in (0, 3), f"{command}: {printed}"
    assert alike(printed, expected), f"$ {command}\nprinted:\n" + "\n".join(printed)


def test_the_python_runs(environment: dict[str, str], tmp_path: Path) -> None:
    program = block(README, "python", "AddFailed")
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("4\n", "")


def test_the_make_targets_exist() -> None:
    text = block(README, "sh", "make ")
    makefile = (README.parent / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_setting_is_in_the_table() -> None:
    from likes.config.settings import Settings, variable

    table = set(re.findall(r"^\| `(LIKES_\w+)`", README.read_text(), re.MULTILINE))
    assert table == {variable(name) for name in Settings.model_fields}
