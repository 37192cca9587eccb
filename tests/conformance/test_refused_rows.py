"""What a database refuses of one row, its owner's constraints and triggers included, costs that entry alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from likes.errors import LikesError
from likes.sql.engine import open_engine, writing
from likes.sql.schema import migrate
from tests.rig import Rig

ITEMS = {f"video:{number}": number + 1 for number in range(12)}
BAD = "video:7"
GOOD = {item: count for item, count in ITEMS.items() if item != BAD}

FUNCTION = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NEW.item = 'video:7' THEN {then}; END IF;
  RETURN NEW;
END $$
"""
TRIGGER = "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON likes_totals FOR EACH ROW EXECUTE FUNCTION refuse()"
DEFERRED = """
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT OR UPDATE ON likes_totals DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION refuse()
"""
POLICIES = (
    "CREATE ROLE limited LOGIN PASSWORD 'limited'",
    "GRANT ALL ON ALL TABLES IN SCHEMA public TO limited",
    "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO limited",
    "ALTER TABLE likes_totals ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY all_but_one ON likes_totals USING (true) WITH CHECK (item <> 'video:7')",
)


def raising(then: str) -> list[str]:
    return [FUNCTION.format(then=then), TRIGGER]


OWNERS: dict[str, tuple[str, list[str]]] = {
    "check": ("postgres", ["ALTER TABLE likes_totals ADD CHECK (item <> 'video:7')"]),
    "trigger": ("postgres", raising("RAISE EXCEPTION 'not this one'")),
    "trigger with a code of its own": ("postgres", raising("RAISE EXCEPTION 'no' USING ERRCODE = 'LK007'")),
    "trigger with the code of a right": ("postgres", raising("RAISE EXCEPTION 'no' USING ERRCODE = '42501'")),
    "trigger that leaves it out": ("postgres", raising("RETURN NULL")),
    "trigger that divides by zero": ("postgres", raising("NEW.total := 1 / 0")),
    "deferred trigger": ("postgres", [FUNCTION.format(then="RAISE EXCEPTION 'not this one'"), DEFERRED]),
    "foreign key": (
        "postgres",
        [
            'CREATE TABLE videos (item text COLLATE "C" PRIMARY KEY)',
            "INSERT INTO videos SELECT 'video:' || n FROM generate_series(0, 11) n WHERE n <> 7",
            "ALTER TABLE likes_totals ADD FOREIGN KEY (item) REFERENCES videos DEFERRABLE INITIALLY DEFERRED",
        ],
    ),
    "policy": ("postgres", list(POLICIES)),
    "mariadb check": ("mariadb", ["ALTER TABLE likes_totals ADD CHECK (item <> 'video:7')"]),
    "mariadb trigger": (
        "mariadb",
        [
            """CREATE TRIGGER refuse BEFORE INSERT ON likes_totals FOR EACH ROW IF NEW.item = 'video:7' THEN
               SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this one', MYSQL_ERRNO = 31001; END IF"""
        ],
    ),
    "mariadb foreign key": (
        "mariadb",
        [
            "CREATE TABLE videos (item VARBINARY(255) PRIMARY KEY)",
            "INSERT INTO videos SELECT CONCAT('video:', seq) FROM seq_0_to_11 WHERE seq <> 7",
            "ALTER TABLE likes_totals ADD FOREIGN KEY (item) REFERENCES videos (item)",
        ],
    ),
    "sqlite trigger": (
        "sqlite",
        [
            """CREATE TRIGGER refuse BEFORE INSERT ON likes_totals WHEN NEW.item = 'video:7'
               BEGIN SELECT RAISE(ABORT, 'not this one'); END"""
        ],
    ),
    "sqlite trigger that leaves it out": (
        "sqlite",
        [
            """CREATE TRIGGER refuse BEFORE INSERT ON likes_totals WHEN NEW.item = 'video:7'
               BEGIN SELECT RAISE(IGNORE); END"""
        ],
    ),
    "sqlite unique index": (
        "sqlite",
        [
            "CREATE UNIQUE INDEX once ON likes_totals (CASE item WHEN 'video:7' THEN 'video:3' ELSE item END)",
        ],
    ),
}


@pytest.fixture
def owner(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A database with what its owner added."""
    kind, statements = request.param
    url = request.getfixturevalue(f"{kind}_url")
    engine = open_engine(url, timeout=10)
    migrate(engine)
    with writing(engine) as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()
    if "ROLE limited" in str(statements):
        engine = open_engine(url.replace("postgres:s3cret@", "limited:limited@"), timeout=10)
    yield engine
    engine.dispose()
    if "ROLE limited" in str(statements):
        server = request.getfixturevalue("postgres_server")
        server.drop(url.rsplit("/", 1)[1])
        server._execute("DROP ROLE limited")


@pytest.mark.parametrize("owner", OWNERS.values(), ids=OWNERS, indirect=True)
def test_one_entry_is_set_aside_and_the_others_are_counted(valkey_url: str, owner: Engine) -> None:
    with Rig(valkey_url, owner) as rig:
        rig.likes.add(ITEMS)
        rig.flush()
        assert rig.totals() == GOOD
        assert rig.set_aside() == {BAD: ITEMS[BAD]}
        assert rig.dead_letters()[0].reason.startswith("the database refused it: ")
        rig.likes.like(BAD)
        rig.flush()
        assert rig.set_aside() == {BAD: ITEMS[BAD] + 1}
        assert rig.cursor().applied_delta == sum(GOOD.values())
        assert rig.incidents() == []


NOBODYS = {
    "a right": [
        "CREATE ROLE limited LOGIN PASSWORD 'limited'",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO limited",
        "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO limited",
        "REVOKE UPDATE ON likes_totals FROM limited",
    ],
    "a trigger of the statement": [
        FUNCTION.format(then="RETURN NULL")
        .replace("NEW.item = 'video:7'", "TG_OP = 'INSERT'")
        .replace("RETURN NULL", "RAISE EXCEPTION 'frozen'"),
        "CREATE TRIGGER refuse BEFORE INSERT ON likes_totals EXECUTE FUNCTION refuse()",
    ],
    "a trigger that is broken": [
        FUNCTION.format(then="RETURN NULL").replace("RETURN NEW", "INSERT INTO missing VALUES (1); RETURN NEW"),
        TRIGGER,
    ],
}


@pytest.mark.parametrize("owner", [("postgres", it) for it in NOBODYS.values()], ids=NOBODYS, indirect=True)
def test_what_is_no_rows_fault_sets_nothing_aside(valkey_url: str, owner: Engine, postgres_url: str) -> None:
    with Rig(valkey_url, owner) as rig:
        rig.likes.add(ITEMS)
        with pytest.raises(LikesError, match="permission denied|frozen|missing"):
            rig.flush()
        assert (rig.totals(), rig.dead_letters()) == ({}, [])
        admin = open_engine(postgres_url, timeout=5)
        with writing(admin) as connection:
            connection.execute(text("DROP TRIGGER IF EXISTS refuse ON likes_totals"))
            if owner.url.username == "limited":
                connection.execute(text("GRANT UPDATE ON likes_totals TO limited"))
        admin.dispose()
        rig.flush()
        assert (rig.totals(), rig.dead_letters()) == (ITEMS, [])


def test_the_reason_says_what_the_owner_said(valkey_url: str, sqlite_engine: Engine) -> None:
    with writing(sqlite_engine) as connection:
        connection.execute(text(OWNERS["sqlite trigger"][1][0]))
    with Rig(valkey_url, sqlite_engine) as rig:
        rig.likes.add(ITEMS)
        rig.flush()
        assert rig.dead_letters()[0].reason == "the database refused it: not this one"
