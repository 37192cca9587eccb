"""A real Prometheus that scrapes what a test starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from tests.servers import MissingServerError, Server, find_program

WAY_OUT = "on PATH (Debian: apt-get install prometheus)"


class Prometheus(Server):
    """It scrapes `targets`, job -> `host:port`, every two seconds, and evaluates the `rules`."""

    def __init__(self, targets: Mapping[str, str], rules: Path) -> None:
        binary = find_program("prometheus")
        if not binary:
            raise MissingServerError(f"Prometheus: no prometheus {WAY_OUT}")
        super().__init__()
        self.binary = binary
        self.url = f"http://127.0.0.1:{self.port}"
        jobs = [{"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in targets.items()]
        every = {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "200ms"}
        config = {"global": every, "rule_files": [str(rules)], "scrape_configs": jobs}
        (self.folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML

    def command(self) -> list[str]:
        return [
            self.binary,
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]

    def answers(self) -> bool:
        try:
            with urlopen(f"{self.url}/-/ready", timeout=2):
                return True
        except (URLError, OSError):
            return False

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its API; urllib's HTTPError if it refuses."""
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(parameters)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def alerts(self) -> set[str]:
        """The names of those whose condition holds, for however long."""
        return {alert["labels"]["alertname"] for alert in self.ask("alerts")["alerts"]}

    def rules(self) -> dict[str, str]:
        """Alert -> expression."""
        return {rule["name"]: rule["query"] for group in self.ask("rules")["groups"] for rule in group["rules"]}
