"""The benchmark runs to its end and says what it found, on so few items that the figures mean nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_figures_are_shown_as_a_table_and_kept_in_a_file(tmp_path: Path) -> None:
    kept = tmp_path / "figures.json"
    options = ["--items", "2000", "--rounds", "1", "--only", "flush", "hold", "--json", str(kept)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", *options],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(kept.read_text())["figures"]
    assert len(figures) == 6
    for figure in figures:
        (row,) = [line for line in done.stdout.splitlines() if line.startswith(figure["what"] + " ")]
        assert row.endswith("yes" if figure["reached"] else "NO")
        assert min(figure["measured"]) > 0
