"""The mutation runner: which mutants it makes, and that it tells those that are noticed from those that survive."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants import in_lua, in_python, trial
from tests.mutants.__main__ import CHECKOUT, try_all
from tests.mutants.harmless import HARMLESS, Harmless
from tests.mutants.report import Report
from tests.mutants.target import Target
from tests.mutants.targets import TARGETS

RULE = '''"""Numbers."""


def is_many(number):
    return number > 3


def is_odd(number):
    return number % 2 == 1


def at_least_three(number):
    while number < 3:
        number += 1
    return number
'''
TESTS = """
from likes.rule import *

def test_many():
    assert is_many(4) and not is_many(3)

def test_at_least_three():
    assert at_least_three(2) == 3 and at_least_three(5) == 5
"""
UNNOTICED = "return number % 2 == 1", "return number % 2 != 1"
RULE_FILE = "likes/rule.py", RULE
TARGET = Target("likes/rule.py", ["tests/test_rule.py"])


def replaced_in_python(source: str) -> list[str]:
    return [mutant.mutated for mutant in in_python.mutants_of("a.py", source)]


def replaced_in_lua(source: str) -> list[str]:
    return [mutant.mutated for mutant in in_lua.mutants_of("a.lua", source)]


@pytest.mark.parametrize(
    ("source", "mutated"),
    [
        ("a == b", ["a != b"]),
        ("'é' not in b", ["'é' in b"]),
        ("a is not b", ["a is b"]),
        ("a < b <= c", ["a <= b <= c", "a >= b <= c", "a < b < c", "a < b > c"]),
        (
            "x(a and (b or c))",
            ["x((b or c))", "x(a)", "x(a or (b or c))", "x(a and (c))", "x(a and (b))", "x(a and (b and c))"],
        ),
        ("not (a or b)", ["(a or b)", "not (b)", "not (a)", "not (a and b)"]),
        ("(a, b) == (c, d)", ["(b,) == (d,)", "(a,) == (c,)", "(a, b) != (c, d)"]),
        (
            "select(a).where(a > 1, b)",
            [f"select(a).where({conditions})" for conditions in ("b", "a > 1", "a >= 1, b", "a <= 1, b")],
        ),
        ("def f():\n    return True", ["def f():\n    return False"]),
        (
            "try:\n    f()\nexcept BaseException:\n    close()\n    raise",
            ["try:\n    f()\nexcept BaseException:\n    raise"],
        ),
        ("a + b  # a == b", []),
    ],
)
def test_what_is_mutated_in_python(source: str, mutated: list[str]) -> None:
    assert sorted(replaced_in_python(source)) == sorted(mutated)


def test_what_is_mutated_in_lua() -> None:
    assert replaced_in_lua("if a ~= '==' then return b or c end -- a == b") == [
        "if a == '==' then return b or c end -- a == b",
        "if a ~= '==' then return b and c end -- a == b",
    ]
    assert replaced_in_lua("return not a < #b") == ["return a < #b", "return not a <= #b", "return not a >= #b"]


def test_every_mutant_of_ours_can_be_compiled() -> None:
    for target in TARGETS:
        for mutant in target.mutants(CHECKOUT):
            if mutant.path.endswith(".py"):
                compile(mutant.mutated, str(mutant), "exec")


def test_each_harmless_one_says_why_and_is_a_mutant() -> None:
    mutants = [mutant for target in TARGETS for mutant in target.mutants(CHECKOUT)]
    for known in HARMLESS:
        assert known.why.endswith(".")
        assert any(known.is_about(mutant) for mutant in mutants), known


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project, with a mutant that nothing notices and one that hangs."""
    for name, text in {
        "likes/__init__.py": "",
        "likes/rule.py": RULE,
        "worker/__init__.py": "",
        "tests/test_rule.py": TESTS,
        "pyproject.toml": "[tool.pytest]\nminversion = '9.0'\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_mutant_that_no_test_notices_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "LEAST_LIMIT_SECONDS", 8)  # of the one that hangs
    report = try_all(project, [TARGET], [], chosen=[], jobs=2)
    assert not report.is_good
    assert list(report.lines()) == [
        f"likes/rule.py:9: {UNNOTICED[0]} -> {UNNOTICED[1]}",
        "5 mutants, 4 killed, 1 survived (0 known to be harmless)",
    ]
    assert (project / "likes/rule.py").read_text() == RULE


def test_a_harmless_survivor_is_counted_and_one_that_is_none_any_more_is_told() -> None:
    survivors = [mutant for mutant in in_python.mutants_of(*RULE_FILE) if (mutant.old, mutant.new) == UNNOTICED]
    known = Harmless(RULE_FILE[0], *UNNOTICED, "Nobody asks.")
    report = Report(5, survivors, [known])
    assert report.is_good
    assert list(report.lines()) == ["5 mutants, 4 killed, 1 survived (1 known to be harmless)"]
    report = Report(5, [], [known])
    assert not report.is_good
    assert next(report.lines()).startswith(
        f"likes/rule.py: listed as harmless, but there is no such survivor: {known.old}"
    )


def test_tests_that_fail_anyway_prove_nothing(project: Path) -> None:
    (project / "tests/test_rule.py").write_text("def test():\n    assert False\n")
    with pytest.raises(trial.TestsFail, match="1 failed"):
        try_all(project, [TARGET], [], chosen=[], jobs=1)


@pytest.mark.parametrize(
    ("target", "chosen", "named"),
    [
        (TARGET, ["rule.py", "missing"], "missing"),
        (Target("likes/missing.py", TARGET.tests), [], "likes/missing.py"),
        (Target(TARGET.pattern, ["tests/test_missing.py"]), [], "tests/test_missing.py"),
    ],
)
def test_what_names_no_file_is_told(project: Path, target: Target, chosen: list[str], named: str) -> None:
    with pytest.raises(LookupError, match=named):
        try_all(project, [target], [], chosen=chosen, jobs=1)
