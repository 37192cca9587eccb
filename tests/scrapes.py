"""What `/metrics` answers, read with prometheus_client's own parser."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

Sample = tuple[str, frozenset[tuple[str, str]]]


class Scrape:
    """The figures of one scrape."""

    def __init__(self, text: str) -> None:
        self.text = text
        families = list(text_string_to_metric_families(text))
        self.samples: Mapping[Sample, float] = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float | None:
        """The value of this very series; None where there is none."""
        return self.samples.get((name, frozenset(labels.items())))

    def sum(self, name: str, **labels: str) -> float:
        """The sum of all series of a name that have these labels among theirs."""
        wanted = labels.items()
        return sum(value for (each, has), value in self.samples.items() if each == name and wanted <= {*has})

    @property
    def names(self) -> set[str]:
        """Those of all series."""
        return {name for name, _ in self.samples}

    def labels(self, name: str) -> set[str]:
        """The labels of a name's series."""
        return {label for each, has in self.samples if each == name for label, _ in has}


def scrape(address: str) -> Scrape:
    """Scrape what is served at `http://host:port`."""
    with urlopen(f"{address}/metrics", timeout=10) as answer:
        return Scrape(answer.read().decode())
