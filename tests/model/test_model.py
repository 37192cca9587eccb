"""A short form of `make model`: the protocol holds in small histories, and needs each rule that is left out here."""

from __future__ import annotations

import pytest

from tests.model.__main__ import ends_as_it_should
from tests.model.runs import SHORT, Run


@pytest.mark.parametrize("run", SHORT, ids=str)
def test_the_model(run: Run) -> None:
    right, said = ends_as_it_should(run)
    assert right, said
