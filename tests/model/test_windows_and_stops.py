"""The models of exposure windows and of stops in order: no history of theirs breaks a rule, and each rule is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NOBODY_TELLS = ("workers=1", "silent=1", "only=restart,empty")
ASTRAY = ("workers=1", "silent=1", "faults=2", "only=astray,empty", "likes=1")


def run(model: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, HERE / model, *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("clean_stop.py", ()),
        ("exposure.py", ("workers=1",)),
        ("exposure.py", NOBODY_TELLS),
        ("exposure.py", ASTRAY),
    ],
)
def test_no_history_breaks_a_rule(model: str, options: tuple[str, ...]) -> None:
    ran = run(model, *options)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    assert "states" in ran.stdout


@pytest.mark.parametrize(
    ("model", "rule", "options"),
    [
        *(("clean_stop.py", rule, ()) for rule in ("door", "apart", "shut", "sync", "mark")),
        ("exposure.py", "over", ("workers=1",)),
        *(("exposure.py", rule, NOBODY_TELLS) for rule in ("same", "applied", "begun")),
        ("exposure.py", "empty", ASTRAY),
    ],
)
def test_without_a_rule_a_like_is_lost_and_nobody_told(model: str, rule: str, options: tuple[str, ...]) -> None:
    ran = run(model, *options, "--break", rule)
    assert (ran.returncode, ran.stderr) == (1, "")
    assert "los" in ran.stdout.splitlines()[0]
