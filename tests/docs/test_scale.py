"""docs/scale.md: a table that its owner has partitioned is as good as one."""

from __future__ import annotations

from pathlib import Path

import psycopg

from tests.shell import Shell
from tests.snippets import DOCS, block

ITEMS = [f"video:{number}" for number in range(300)]


def test_totals_in_partitions(tmp_path: Path, valkey_url: str, postgres_url: str) -> None:
    likes = Shell(tmp_path, redis_url=valkey_url, database_url=postgres_url)
    assert likes("migrate").code == 0

    def like_all() -> None:
        assert likes("post", "--file", "-", stdin="\n".join(ITEMS).encode()).code == 0
        assert likes("flush", "--json").json["items"] == len(ITEMS)

    like_all()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(block(DOCS / "scale.md", "sql", "PARTITION BY HASH"))
        like_all()
        parts = connection.execute("SELECT count(DISTINCT tableoid), count(*) FROM likes_totals").fetchone()
    assert parts == (8, len(ITEMS))
    assert {each["total"] for each in likes("totals", *ITEMS, "--json").json} == {2}
    assert [each["total"] for each in likes("get", "video:7", "--json").json] == [2]
    assert likes("audit", "--items").code == 0
    assert likes("migrate").code == 0
    found = likes("check", "--json").json
    assert [each for each in found["findings"] if each["level"] == "error"] == []
