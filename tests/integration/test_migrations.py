"""The schema on real servers: up, down, twice at once, and nothing that tables.py and the migrations disagree on."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from likes.errors import SchemaOutdated
from likes.sql.engine import open_engine, writing
from likes.sql.schema import VERSION_TABLE, alone, head, migrate, migration_sql, require_head, revision
from likes.sql.tables import metadata

CHECKOUT = Path(__file__).parents[2]
OURS = set(metadata.tables)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url, timeout=10)
    yield engine
    engine.dispose()


@pytest.fixture
def alembic(database_url: str) -> Callable[..., None]:
    """Run a command of Alembic on the database."""

    def run(name: str, *arguments: str) -> None:
        config = Config()
        config.set_main_option("script_location", str(CHECKOUT / "alembic"))
        with alone(database_url) as connection:
            config.attributes["connection"] = connection
            getattr(command, name)(config, *arguments)

    return run


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def test_head_is_what_alembic_says() -> None:
    assert [head()] == ScriptDirectory(str(CHECKOUT / "alembic")).get_heads()


def test_no_revision_takes_anything_from_the_library() -> None:
    revisions = [*(CHECKOUT / "alembic" / "versions").glob("*.py")]
    assert revisions
    for file in revisions:
        sources = set()
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                sources.add(str(node.module))
            elif isinstance(node, ast.Import):
                sources.update(alias.name for alias in node.names)
        assert {source.partition(".")[0] for source in sources} <= {"__future__", "alembic", "sqlalchemy"}, file.name


def test_up_down_and_up_again(engine: Engine, alembic: Callable[..., None]) -> None:
    assert revision(engine) is None
    migrate(engine)
    assert revision(engine) == head()
    assert tables(engine) == OURS | {VERSION_TABLE}
    alembic("downgrade", "base")
    assert revision(engine) is None
    assert tables(engine) == {VERSION_TABLE}
    migrate(engine)
    migrate(engine)
    assert tables(engine) == OURS | {VERSION_TABLE}


def test_autogenerate_finds_nothing_and_leaves_strangers_alone(engine: Engine, alembic: Callable[..., None]) -> None:
    migrate(engine)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE stranger (id INTEGER PRIMARY KEY)"))
    alembic("check")
    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "include_name": lambda name, kind, _: name != "stranger"}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


def test_two_processes_migrate_at_once(engine: Engine, database_url: str) -> None:
    program = (
        "import sys; from likes.sql.engine import open_engine; from likes.sql.schema import migrate\n"
        "print('ready', flush=True); sys.stdin.readline(); migrate(open_engine(sys.argv[1], timeout=10))"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program, database_url],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0, errors
    require_head(engine)


def test_behind_is_refused_with_the_way_out_and_ahead_is_fine(engine: Engine) -> None:
    with pytest.raises(SchemaOutdated, match="has no tables yet; run `likes migrate`"):
        require_head(engine)
    migrate(engine)
    for there, fine in (("0000", False), ("9999", True)):
        with writing(engine) as connection:
            connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{there}'"))
        if fine:
            require_head(engine)
        else:
            with pytest.raises(SchemaOutdated, match=f"is at revision 0000, {head()} is needed; run `likes migrate`"):
                require_head(engine)


def test_the_sql_is_printed_without_connecting(engine: Engine, database_url: str) -> None:
    printed = migration_sql(database_url)
    assert revision(engine) is None
    with writing(engine) as connection:
        for statement in printed.split(";"):
            lines = [line for line in statement.splitlines() if line and not line.startswith("--")]
            if lines and lines != ["BEGIN"] and lines != ["COMMIT"]:
                connection.exec_driver_sql("\n".join(lines))
    assert revision(engine) == head()
    assert tables(engine) == OURS | {VERSION_TABLE}


def test_the_plain_alembic_command(engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKES_DATABASE_URL", database_url)
    config = Config(toml_file=CHECKOUT / "pyproject.toml")
    command.upgrade(config, "head")
    command.check(config)
    assert revision(engine) == head()
