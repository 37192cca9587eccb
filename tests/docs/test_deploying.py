"""docs/deploying.md: the unit for systemd, an application's own migrations beside ours, and joins with its tables."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

from likes.sql.engine import reading, writing
from likes.sql.urls import url_of
from tests.servers import find_program
from tests.snippets import DOCS, block, blocks

PAGE = DOCS / "deploying.md"
UNITS = Path("/usr/lib/systemd/system")

# systemd.


@pytest.mark.parametrize("name", ["likes-worker.service", "likes-serve.service"])
def test_the_unit_is_one(tmp_path: Path, name: str) -> None:
    analyze = find_program("systemd-analyze")
    if not analyze or not UNITS.is_dir():
        pytest.skip("systemd is not installed")
    unit = block(PAGE, "ini", f"/{name}")
    etc, program = tmp_path / "etc/systemd/system", tmp_path / "opt/likes/bin/likes"
    shutil.copytree(UNITS, tmp_path / "usr/lib/systemd/system", symlinks=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    etc.mkdir(parents=True)
    (etc / name).write_text(unit)
    kill = tmp_path / "bin/kill"
    for each in (program, kill):
        each.parent.mkdir(parents=True, exist_ok=True)
        each.write_text("#!/bin/sh\n")
        each.chmod(0o755)
    verify = [analyze, "verify", "--man=no", "--recursive-errors=no", f"--root={tmp_path}", name]
    verified = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


# Alembic. The environment is what `alembic init` makes, without what has nothing to do with it.

ENVIRONMENT = """
from alembic import context
from sqlalchemy import Column, Integer, MetaData, Table, create_engine
from likes.sql.urls import parse_url

metadata = MetaData()
Table("videos", metadata, Column("id", Integer, primary_key=True))

{filter}

engine = create_engine(parse_url(context.config.attributes["url"]))
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, {option})
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
"""
INCLUDE_OBJECT = """
def include_object(object, name, kind, reflected, compare_to):
    {line}
    return True
"""


def proposed(folder: Path, engine: Engine, filter_: str, option: str) -> str:
    """The revision that `alembic revision --autogenerate` writes for an application with one table, `videos`."""
    folder.mkdir()
    config = Config()
    config.set_main_option("script_location", str(folder / "alembic"))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = url_of(engine)
    (folder / "alembic/versions").mkdir(parents=True)
    (folder / "alembic/env.py").write_text(ENVIRONMENT.format(filter=filter_, option=option))
    shutil.copy(DOCS.parent / "alembic/script.py.mako", folder / "alembic")
    command.revision(config, autogenerate=True)
    (written,) = (folder / "alembic/versions").glob("*.py")
    return written.read_text()


def test_an_applications_migrations_leave_our_tables_alone(tmp_path: Path, engine: Engine) -> None:
    line = next(text for text in PAGE.read_text().split("`") if text.startswith("if kind =="))
    include_name = block(PAGE, "python", "def include_name")
    filters = {
        "include_name=include_name": include_name,
        "include_object=include_object": INCLUDE_OBJECT.format(line=line),
    }
    for number, (option, filter_) in enumerate(filters.items()):
        revision = proposed(tmp_path / str(number), engine, filter_, option)
        assert "create_table" in revision and "videos" in revision
        assert "likes_" not in revision
    assert "drop_table" in proposed(tmp_path / "without", engine, "", "")


# Joins.

KINDS = {"postgresql": "PostgreSQL", "mysql": "MariaDB", "mariadb": "MariaDB", "sqlite": "SQLite"}
BY_KEY = {"PostgreSQL": "likes_totals_pkey", "MariaDB": "'eq_ref', 'PRIMARY'", "SQLite": "(counter=? AND item=?)"}


def test_totals_are_joined_by_their_key(engine: Engine) -> None:
    kind = KINDS[engine.dialect.name]
    (query,) = blocks(PAGE, "sql", holding=f"-- {kind}{' and MySQL' if kind == 'MariaDB' else ''}\nSELECT")
    query = query.strip().rstrip(";")
    fill(engine, others=30_000)
    with reading(engine) as connection:
        found = connection.execute(text(query)).all()
        explained = connection.execute(text(f"EXPLAIN {'QUERY PLAN ' if kind == 'SQLite' else ''}{query}")).all()
    assert [tuple(row) for row in found[:2]] == [(7, "Title 7", 99), (42, "Title 42", 3)]
    assert [row.likes for row in found[2:]] == [0] * 48
    assert BY_KEY[kind] in str(explained), explained
    with writing(engine) as connection:
        connection.execute(text("DROP TABLE videos"))


def fill(engine: Engine, others: int) -> None:
    """A table of videos, two of them liked, among many other items."""
    totals = [{"item": f"other:{i}", "total": i} for i in range(others)]
    totals += [{"item": "video:7", "total": 99}, {"item": "video:42", "total": 3}, {"item": "video:07", "total": 1000}]
    moment = "'2026-01-01 00:00:00+00:00'" if engine.dialect.name == "sqlite" else "CURRENT_TIMESTAMP"
    insert = f"INSERT INTO likes_totals (counter, item, total, updated_at) VALUES ('likes', :item, :total, {moment})"
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE videos (id INTEGER PRIMARY KEY, title VARCHAR(20))"))
        connection.execute(
            text("INSERT INTO videos VALUES (:id, :title)"), [{"id": i, "title": f"Title {i}"} for i in range(1, 100)]
        )
        connection.execute(text(insert), totals)
        analyze = {"mysql": "ANALYZE TABLE videos, likes_totals", "mariadb": "ANALYZE TABLE videos, likes_totals"}
        connection.execute(text(analyze.get(engine.dialect.name, "ANALYZE")))
