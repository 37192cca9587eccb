"""Reading totals as they stand, on every database: names are bytes, and pages fit together."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, insert

from likes.sql import totals
from likes.sql.engine import writing
from likes.sql.tables import totals as table

ITEMS = ["A", "B", "a", "a ", "a  ", "b", "{}", "é", "e\u0301", "👍", "x" * 255]
NOW = datetime.now(UTC).replace(microsecond=123456)


@pytest.fixture
def filled(engine: Engine) -> Engine:
    rows = [{"counter": "likes", "item": item, "total": i, "updated_at": NOW} for i, item in enumerate(ITEMS)]
    with writing(engine) as connection:
        connection.execute(insert(table), [*rows, {**rows[0], "counter": "views", "total": 1_000}])
    return engine


def test_all_totals_in_the_order_of_their_bytes(filled: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "ITEMS_A_PAGE", 3)
    found = list(totals.all_totals(filled, "likes"))
    assert [total.item for total in found] == sorted(ITEMS, key=str.encode)
    assert {(total.item, total.total) for total in found} == {(item, i) for i, item in enumerate(ITEMS)}
    assert list(totals.all_totals(filled, "none")) == []


def test_totals_of_items_in_the_order_asked_for(filled: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "ITEMS_A_STATEMENT", 2)
    found = list(totals.totals_of(filled, ["b", "nobody", "a ", "A", "a"], "likes"))
    assert [(total.item, total.total) for total in found] == [("b", 5), ("nobody", 0), ("a ", 3), ("A", 0), ("a", 2)]
    assert [total.updated_at for total in found] == [NOW, None, NOW, NOW, NOW]


def test_the_largest_totals_of_one_counter(filled: Engine) -> None:
    assert [total.total for total in totals.largest_totals(filled, "likes", 3)] == [10, 9, 8]
    assert [total.total for total in totals.largest_totals(filled, "views", 3)] == [1_000]
