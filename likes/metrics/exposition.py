"""Figures as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from itertools import accumulate
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from likes.metrics.families import FAMILIES, Family
from likes.metrics.tally import Labels, Snapshot


class Exposition(NamedTuple):
    """What a scrape is answered."""

    content: bytes
    media_type: str


def exposition(snapshots: Iterable[Snapshot], accept: str) -> Exposition:
    """All these figures as text, in the form that `accept` (the header of the scrape) prefers."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected({**dict(_merged(snapshots)), "likes_build_info": {(version("likes"),): [1]}}))
    encode, media_type = choose_encoder(accept)
    return Exposition(encode(registry), media_type)


def _merged(snapshots: Iterable[Snapshot]) -> Iterator[tuple[str, dict[Labels, Sequence[float]]]]:
    for snapshot in snapshots:
        for name, series in snapshot.items():
            if name in FAMILIES:  # else a process of another version counts it
                yield name, dict(series)


class _Collected(Collector):
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """In the order of FAMILIES."""
        for name, family in FAMILIES.items():
            if series := self._snapshot.get(name):
                yield _metric(family, series.items())


def _metric(family: Family, series: Iterable[tuple[Labels, Sequence[float]]]) -> Metric:
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(family.name, family.about, labels=family.labels)
        bounds = [*map(str, family.bounds), "+Inf"]
        for labels, (*counts, total) in series:
            histogram.add_metric(labels, list(zip(bounds, accumulate(counts), strict=True)), total)
        return histogram
    make = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = make(family.name, family.about, labels=family.labels)
    for labels, (value,) in series:
        metric.add_metric(labels, value)
    return metric
