"""The page of a report says what is in it, and needs nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.chaos.page import page_of
from tests.chaos.plan import FAULTS, plan_of, plan_with
from tests.chaos.plots import bars
from tests.chaos.reckoning import Reckoned
from tests.chaos.report import Report
from tests.chaos.rounds import Round


def report_of(tmp_path: Path, *rounds: Round) -> Report:
    report = Report(tmp_path, "<7>", {"valkey": "9.1"})
    for each in rounds:
        report.add(each)
    return report


def test_it_shows_every_round_and_what_was_wrong(tmp_path: Path) -> None:
    faults = ["redis_is_killed", "the_api_is_killed"]
    good = Round(plan_with("7", 0, faults), 5.0, 1.5, Reckoned(accepted=100, counted=98, lost=2, incidents=["x", "x"]))
    bad = Round(plan_with("7", 1, faults[:1]), 9.0, None, Reckoned(accepted=50, wrong=["a < b"]))
    report = report_of(tmp_path, good, bad)
    page = (tmp_path / "report.html").read_text()
    assert report.failed == [bad]
    assert "2 rounds" in page and "1 failed" in page and "150 likes" in page
    assert "seed &lt;7&gt;" in page and "a &lt; b" in page and "2 x" in page
    assert page.count("<svg") == 4
    assert not re.search(r"(?:src|href)=|https?://|@import", page)


def test_a_report_of_nothing_is_a_page_all_the_same(tmp_path: Path) -> None:
    assert "0 rounds" in page_of(report_of(tmp_path).data())


def test_a_bar_is_as_high_as_its_value() -> None:
    figure = ET.fromstring(bars("likes", [10, 5, 0], ["a", "b", "c"]))
    assert [each.get("height") for each in figure.iter("rect")] == ["160.0", "80.0", "0.0"]


def test_a_round_is_drawn_from_its_seed_alone() -> None:
    assert plan_of("7", 40) == plan_of("7", 40)
    assert len({tuple(fault.name for fault in plan_of(seed, 0).faults) for seed in map(str, range(20))}) > 1


def test_every_fault_has_its_turn_and_no_two_of_a_kind_break_at_once() -> None:
    plans = [plan_of("7", number) for number in range(len(FAULTS))]
    assert {plan.faults[0].name for plan in plans} == FAULTS.keys()
    pairs = [plan.faults for plan in plans if len(plan.faults) == 2]
    assert pairs and all(one.family != other.family for one, other in pairs)
    assert all(plan.stand in fault.stands for plan in plans for fault in plan.faults)
