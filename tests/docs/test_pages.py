"""The pages of docs/: tests they name exist, links lead somewhere, pictures are what the script draws."""

from __future__ import annotations

import re
from pathlib import Path
from runpy import run_path

import pytest

from tests.snippets import CHECKOUT, DOCS, README

PAGES = [README, CHECKOUT / "CHANGELOG.md", *sorted((CHECKOUT / ".github").glob("*.md")), *sorted(DOCS.glob("*.md"))]
ALL_TESTS = {
    name
    for path in (CHECKOUT / "tests").rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
}


def headings(page: Path) -> set[str]:
    """The anchors of its headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_is_named_exists(page: Path) -> None:
    assert set(re.findall(r"`(test_\w+)`", page.read_text())) <= ALL_TESTS


def test_every_row_of_the_failures_names_a_test() -> None:
    rows = re.findall(r"^\| (.+) \| (.+) \| (.+) \|$", (DOCS / "failures.md").read_text(), re.MULTILINE)
    assert len(rows) > 10
    for what, _, shown_by in rows[1:]:
        assert "`test_" in shown_by, what


def test_the_pictures_are_what_the_script_draws() -> None:
    pictures = run_path(str(DOCS / "pictures.py"))["PICTURES"]
    drawn = {f"{name}.svg": draw() for name, draw in pictures.items()}
    assert {path.name: path.read_text() for path in DOCS.glob("*.svg")} == drawn
    shown = {link for page in PAGES for link in re.findall(r"\]\((\w+\.svg)\)", page.read_text())}
    assert shown == set(drawn)
