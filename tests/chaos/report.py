"""What came of a campaign, as data: written after every round, so that it is there however the campaign ends."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.chaos.page import page_of
from tests.chaos.rounds import Round

SUMS = ("accepted", "counted", "unknown", "lost", "set_aside", "doubled")


class Report:
    """Of the rounds played so far: `report.json` and `report.html` in a folder."""

    def __init__(self, folder: Path, seed: str, versions: Mapping[str, str]) -> None:
        self.folder = folder
        self.failed: list[Round] = []
        self._seed = seed
        self._versions = versions
        self._began = time.time()
        self._rounds: list[dict[str, Any]] = []

    def add(self, played: Round) -> None:
        """One more round; what is in the folder is written anew."""
        self._rounds.append(row_of(played))
        if played.failed:
            self.failed.append(played)
        data = self.data()
        (self.folder / "report.json").write_text(json.dumps(data, indent=1) + "\n")
        (self.folder / "report.html").write_text(page_of(data))

    def data(self) -> dict[str, Any]:
        """What is in report.json."""
        return {
            "seed": self._seed,
            "began": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self._began)),
            "minutes": round((time.time() - self._began) / 60, 1),
            "versions": dict(self._versions),
            "sums": {name: sum(each[name] for each in self._rounds) for name in SUMS},
            "failed": [each["round"] for each in self._rounds if each["wrong"]],
            "rounds": self._rounds,
        }


def row_of(played: Round) -> dict[str, Any]:
    """A round in report.json; times are in seconds."""
    reckoned = played.reckoned
    recovery = played.recovery_seconds
    return {
        "round": played.plan.number,
        "stand": played.plan.stand,
        "faults": [fault.name for fault in played.plan.faults],
        "seconds": round(played.seconds, 2),
        "recovery_seconds": None if recovery is None else round(recovery, 2),
        **{name: getattr(reckoned, name) for name in SUMS},
        "incidents": reckoned.incidents,
        "missed": list(played.missed),
        "wrong": reckoned.wrong,
    }
