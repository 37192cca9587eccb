"""docs/alerts.yml and docs/grafana-likes.json, loaded by a real Prometheus that scrapes a real API and worker.

Everything that can go wrong does, so that each alert is seen and each series there is, is there.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from tests.conftest import IN_CI
from tests.prometheus import WAY_OUT, Prometheus
from tests.running_api import RunningApi
from tests.running_worker import RunningWorker
from tests.servers import MissingServerError, find_program, free_port, valkey
from tests.shell import Shell
from tests.snippets import DOCS
from tests.waiting import wait_until

ALERTS, DASHBOARD = DOCS / "alerts.yml", DOCS / "grafana-likes.json"
NOT_PROVOKED = {"LikesCacheMisses"}  # of a rate over minutes: `promtool` shows it below
pytestmark = pytest.mark.timeout(300)


class Scene:
    """An API and a worker on a Redis of their own, and a Prometheus that watches them."""

    def __init__(self, folder: Path, opened: ExitStack) -> None:
        self.redis = valkey("--appendonly", "no")
        opened.callback(self.redis.remove)
        self.redis.start()
        self.client = opened.enter_context(redis.Redis.from_url(self.redis.url))
        settings = {"redis_url": self.redis.url, "database_url": f"sqlite:///{folder / 'likes.db'}"}
        self.likes = Shell(folder, **settings, interval=2, redis_timeout=0.5, metrics_port=free_port())
        assert self.likes("migrate").code == 0
        self.worker = opened.enter_context(RunningWorker(self.likes, notify_command="false"))
        self.worker.wait_for("metrics")
        self.api = opened.enter_context(RunningApi(self.likes))
        worker_at = f"127.0.0.1:{self.likes.settings['metrics_port']}"
        targets = {"likes-api": self.api.address.removeprefix("http://"), "likes-worker": worker_at}
        self.prometheus = Prometheus(targets, ALERTS)
        opened.callback(self.prometheus.remove)
        self.prometheus.start()
        self.seen: set[str] = set()

    def wait_for_alerts(self, *names: str, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Wait until the conditions of all these alerts have held at some moment."""

        def all_seen() -> bool:
            meanwhile()
            self.seen |= self.prometheus.alerts()
            return self.seen >= {*names}

        try:
            wait_until(all_seen, timeout=60)
        except TimeoutError:
            raise AssertionError(f"{({*names}) - self.seen} of {names}; seen: {self.seen}") from None

    def post_in_vain(self) -> None:
        """A like that is not counted."""
        assert self.api.client.post("/v1/items/a/likes").status_code == 503

    def go_wrong(self) -> None:
        """One thing after the other."""
        info = self.client.info("memory")
        self.client.config_set("maxmemory", int(info["used_memory"] * 1.1))
        self.wait_for_alerts("LikesRedisNearlyFull")
        self.client.config_set("maxmemory", 0)

        self.client.flushall()
        self.wait_for_alerts("LikesIncidentsOpen", "LikesNotTold")

        self.api.client.post("/v1/items/odd/likes")
        (delta,) = wait_until(lambda: list(self.client.scan_iter("*:delta:likes:odd")))
        self.client.set(delta, "no number")
        self.wait_for_alerts("LikesDeadLetters")

        tag = delta.decode().partition("delta:")[0]
        self.client.delete(f"{tag}in_flight")
        self.client.set(f"{tag}in_flight", "no list")
        self.api.client.post("/v1/items/odd/likes")
        self.wait_for_alerts("LikesDamagedKeys", "LikesFlushesFail", "LikesNoFlush")
        self.client.delete(f"{tag}in_flight")

        self.redis.pause()
        self.wait_for_alerts("LikesServerAway", "LikesErrors", "LikesSlow", meanwhile=self.post_in_vain)
        self.redis.resume()

        assert self.worker.stop() == 0
        assert self.api.client.post("/v1/items/late/likes").status_code == 202
        self.wait_for_alerts("LikesNoWorker", "LikesProcessGone", "LikesPendingTooLong")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with ExitStack() as opened:
        try:
            scene = Scene(tmp_path_factory.mktemp("scene"), opened)
        except MissingServerError as missing:
            if IN_CI:
                pytest.fail(str(missing))
            pytest.skip(str(missing))
        for i in range(20):
            assert scene.api.client.post(f"/v1/items/item{i}/likes").status_code == 202
        yield scene


def test_there_is_no_alert_while_all_is_well_and_each_when_something_is_not(scene: Scene) -> None:
    well = 'likes_flushed_items_total > 0 and on (job) likes_up{server="redis"} == 1'
    ask, alerts = scene.prometheus.ask, scene.prometheus.alerts
    wait_until(lambda: ask("query", query=well)["result"] and not alerts(), timeout=60)
    scene.go_wrong()
    assert {*scene.prometheus.rules()} - scene.seen == NOT_PROVOKED


def names_and_labels(expression: str) -> tuple[set[str], set[tuple[str, str]]]:
    """The figures in an expression, and the labels it asks of each: its own matchers', and those it groups by."""
    names = set(re.findall(r"\blikes_\w+", expression))
    wanted = {
        (name, label)
        for name, matchers in re.findall(r"\b(likes_\w+)\{([^}]*)\}", expression)
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)
    }
    grouped = {label.strip() for labels in re.findall(r"by \(([^)]*)\)", expression) for label in labels.split(",")}
    return names, wanted | {(name, label) for name in names for label in grouped}


def expressions_of_the_dashboard() -> list[tuple[str, str]]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [(target["expr"], target["legendFormat"]) for panel in panels for target in panel["targets"]]


def test_every_figure_and_label_named_in_them_is_there(scene: Scene) -> None:
    known = set(scene.prometheus.ask("label/__name__/values"))
    of_dashboard = [expression for expression, _ in expressions_of_the_dashboard()]
    for expression in [*scene.prometheus.rules().values(), *of_dashboard]:
        names, labels = names_and_labels(expression)
        assert names or expression.startswith("up"), expression
        assert names <= known, expression
        for name, label in labels:
            assert label in scene.prometheus.ask("labels", **{"match[]": name}), (expression, name, label)


def test_every_expression_of_the_dashboard_can_be_evaluated_and_has_what_its_legend_names(scene: Scene) -> None:
    for expression, legend in expressions_of_the_dashboard():
        query = expression.replace("$__rate_interval", "1m").replace("$job", ".*")
        assert "$" not in query
        scene.prometheus.ask("query", query=query)  # else: HTTP Error 400
        assert set(re.findall(r"{{(\w+)}}", legend)) <= {label for _, label in names_and_labels(expression)[1]}


def test_every_alert_says_what_to_do_and_for_whom(scene: Scene) -> None:
    for rule in scene.prometheus.ask("rules")["groups"][0]["rules"]:
        assert rule["annotations"].keys() == {"summary", "what_to_do"}, rule["name"]
        assert rule["labels"]["severity"] in ("warning", "critical")


def test_few_hits_of_the_cache_are_an_alert_and_few_reads_are_none(tmp_path: Path) -> None:
    promtool = find_program("promtool")
    if not promtool:
        (pytest.fail if IN_CI else pytest.skip)(f"no promtool {WAY_OUT}")

    def evaluated(hits: int, misses: int, *, alert: bool) -> dict[str, object]:
        series = {"hits": hits, "misses": misses}
        firing = {"exp_labels": {"severity": "warning", "job": "api"}}
        return {
            "interval": "1m",
            "input_series": [
                {"series": f'likes_cache_{name}_total{{job="api"}}', "values": f"0+{rise}x60"}
                for name, rise in series.items()
            ],
            "alert_rule_test": [
                {"eval_time": "45m", "alertname": "LikesCacheMisses", "exp_alerts": [firing] if alert else []}
            ],
        }

    tests = [
        evaluated(1000, 3000, alert=True),
        evaluated(3000, 1000, alert=False),
        evaluated(1, 3, alert=False),
    ]
    annotations = next(rule for rule in ALERTS.read_text().split("- alert: ") if rule.startswith("LikesCacheMisses"))
    for name in ("summary", "what_to_do"):
        text = re.search(rf"{name}: (.+)", annotations)
        assert text
        tests[0]["alert_rule_test"][0]["exp_alerts"][0].setdefault("exp_annotations", {})[name] = text[1]
    (tmp_path / "tests.yml").write_text(json.dumps({"rule_files": [str(ALERTS)], "tests": tests}))
    ran = subprocess.run(
        [promtool, "test", "rules", "tests.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
