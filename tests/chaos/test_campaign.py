"""The campaign's short form: few rounds, of a fixed seed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.plan import plan_with
from tests.chaos.report import Report
from tests.chaos.rounds import play
from tests.chaos.site import Site
from tests.servers import MissingServerError

SEED = "7"
ROUNDS = [
    ["workers_are_killed", "replies_to_likes_are_swallowed"],
    ["redis_is_restored_from_an_older_copy"],
    ["the_database_is_killed"],
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.mark.timeout(900)
@pytest.mark.parametrize("names", ROUNDS, ids=" and ".join)
def test_a_round(site: Site, tmp_path: Path, names: list[str]) -> None:
    plan = plan_with(SEED, ROUNDS.index(names), names)
    try:
        with site.stand(plan.stand, f"round {plan.number}") as stand:
            played = play(plan, stand)
    except MissingServerError as missing:
        pytest.skip(str(missing))
    report = Report(tmp_path, SEED, site.versions)
    report.add(played)
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["rounds"][0]["wrong"] == [], told
    assert told["sums"]["doubled"] == 0 < told["sums"]["accepted"]
    assert "wrong" in (tmp_path / "report.html").read_text()
