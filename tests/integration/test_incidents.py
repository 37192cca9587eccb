"""Incidents are listed with what they mean, resolved once, with who and when, and no longer counted as open."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine

from likes.sql.decision import Decision
from likes.sql.incidents import Kind
from likes.sql.meanings import MEANINGS, meaning_of
from likes.sql.recorded import resolve
from likes.sql.urls import url_of
from tests.rig import Rig
from tests.shell import Shell


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[Rig]:
    """A Redis that went back."""
    with Rig(valkey_url, engine) as rig:
        rig.likes.like("a", 5)
        copy = rig.copy_redis()
        rig.flush()
        rig.restore_redis(copy)
        rig.flush()
        assert rig.kinds() == ["redis_went_back", "set_aside"]
        yield rig


@pytest.fixture
def likes(rig: Rig, tmp_path: Path) -> Shell:
    places = {"redis_url": rig.places.redis, "database_url": url_of(rig.engine)}
    return Shell(tmp_path, **places, redis_name="redis", shards=rig.shards)


def test_every_kind_has_a_meaning_and_advice() -> None:
    assert {*MEANINGS} == {*Kind}
    assert all(meaning and advice for meaning, advice in MEANINGS.values())
    assert "this version" in meaning_of("of a later version").meaning


def test_they_are_listed_with_what_they_mean_and_what_to_do(rig: Rig, likes: Shell) -> None:
    first, second = likes("incidents", "list", "--json").json
    assert set(first) >= {
        *("id", "kind", "shard", "at", "exposed_from", "exposed_to", "delta", "detail", "meaning", "advice"),
        *("resolved_at", "resolved_by"),
    }
    assert (first["kind"], first["shard"], second["kind"]) == ("redis_went_back", 0, "set_aside")
    assert (second["meaning"], second["advice"]) == MEANINGS[Kind.SET_ASIDE]
    assert first["exposed_from"] < first["exposed_to"]
    text = likes("incidents").out
    assert f"redis_went_back: {MEANINGS[Kind.REDIS_WENT_BACK].meaning}." in text
    assert f"What to do: {MEANINGS[Kind.SET_ASIDE].advice}." in text


def test_they_are_resolved_once_with_who_and_when(rig: Rig, likes: Shell) -> None:
    first, second = [incident.id for incident in rig.incidents()]
    before = rig.copy_sql()
    tried = likes("incidents", "resolve", str(first), "--dry-run")
    assert (tried.code, rig.copy_sql()) == (0, before)
    assert "would be resolved" in tried.out

    resolved = likes("incidents", "resolve", str(first), "--by", "mary", "--note", "seen to")
    assert resolved.code == 0
    assert resolved.out.startswith(f"incident {first} (redis_went_back in shard 0, ")
    again = likes("incidents", "resolve", str(first), "--by", "tom")
    assert again.code == 0
    assert "already resolved: seen to by mary at " in again.out
    row = rig.incidents()[0]
    assert (row.resolved_by, row.resolution) == ("mary", "resolved: seen to")
    assert row.resolved_at >= row.at

    assert [each["id"] for each in likes("incidents", "--json").json] == [second]
    assert [each["resolved_by"] for each in likes("incidents", "--all", "--json").json] == ["mary", None]
    assert likes("incidents", "resolve", "--all").code == 0
    assert likes("incidents", "resolve", "--all").code == 0
    assert likes("incidents").out.splitlines() == [likes("incidents").out.strip()]  # the headings alone


def test_what_is_open_is_counted_and_named_everywhere(rig: Rig, likes: Shell) -> None:
    def counts() -> list[tuple[int, int]]:
        status, audit = likes("status", "--json").json, likes("audit", "--json").json
        assert len(status["newest_incidents"]) == status["incidents"]
        return [
            (status["incidents"], status["dead_letters"]),
            (audit["open_incidents"], audit["open_dead_letters"]),
        ]

    def findings() -> dict[str, tuple[str, str]]:
        found = likes("check", "--json").json["findings"]
        return {each["name"]: (each["level"], each["fix"]) for each in found if each["name"] in names}

    names = ("incidents", "dead letters")
    assert counts() == [(2, 1), (2, 1)]
    assert {level for level, _ in findings().values()} == {"warning"}
    for _, fix in findings().values():  # they can be typed
        assert [likes(*shlex.split(command)[1:]).code for command in fix.split("; ")][-1] == 0
    assert counts() == [(0, 0), (0, 0)]
    assert findings() == {"incidents": ("ok", ""), "dead letters": ("ok", "")}
    assert likes("audit").code == 0


def test_an_incident_that_wrote_something_off_is_reckoned_with_once_resolved(rig: Rig, likes: Shell) -> None:
    copy = rig.copy_sql()
    rig.likes.like("a", 3)
    rig.flush()
    rig.restore_sql(copy)
    rig.likes.like("a")
    rig.flush()
    assert [(incident.kind, incident.delta) for incident in rig.incidents()][-1] == ("sql_went_back", 3)
    assert likes("incidents", "resolve", "--all").code == 0
    audit = likes("audit", "--json")
    assert (audit.code, audit.json["written_off"]) == (0, 3)


def test_an_incident_that_is_not_there(rig: Rig, likes: Shell) -> None:
    ran = likes("incidents", "resolve", "99", str(rig.incidents()[0].id))
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "there is no incident 99 under the prefix likes" in ran.err
    assert all(incident.resolved_at is None for incident in rig.incidents())


def test_two_operators_at_once_are_one_who_resolved_it(rig: Rig) -> None:
    ids = [incident.id for incident in rig.incidents()]

    def operate(name: str) -> list[bool]:
        return [each.changed for each in resolve(rig.engine, rig.prefix, ids, Decision.now(name))]

    with ThreadPoolExecutor(2) as pool:
        mary, tom = pool.map(operate, ["mary", "tom"])
    assert [a + b for a, b in zip(mary, tom, strict=True)] == [1, 1]
    assert {(row.id, row.resolved_by) for row in rig.incidents()} == {
        (number, "mary" if changed else "tom") for number, changed in zip(ids, mary, strict=True)
    }
