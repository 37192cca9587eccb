"""The worker's log: every line is JSON where that is asked for, whoever says it; moments have one form."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from likes.moments import iso
from tests.shell import CHECKOUT

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

MISHAPS = """
import logging, sys, threading, warnings
from datetime import UTC, datetime, timedelta
from apscheduler.schedulers.background import BackgroundScheduler
from likes.errors import RedisUnavailable
from likes.sql.reports import Incident
from likes import log_lines\nfrom worker import events

class Odd:
    def __del__(self):
        raise ValueError("in a finaliser\\nof two lines")

def fail():
    raise ValueError("in a thread\\nof two lines")

def run():
    log_lines.configure(sys.argv[1], verbose=len(sys.argv) > 2)
    warnings.warn("deprecated\\nsince long")
    logging.getLogger("a.library").warning("%d is no number", "x")
    logging.getLogger("a.library").error("of\\ntwo lines at redis://u:hunter2@h/ \\u2603 \\udcff")
    logging.getLogger("psycopg").warning("error ignored terminating pipeline")
    try:
        fail()
    except ValueError:
        logging.getLogger("a.library").exception("caught")
        logging.getLogger("sqlalchemy.pool.impl.QueuePool").exception("Exception during reset or similar")
    Odd()
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    ran = threading.Event()
    scheduler = BackgroundScheduler(timezone=UTC)
    scheduler.add_listener(lambda _: ran.set(), 1 << 13)
    scheduler.add_job(fail)
    scheduler.start()
    ran.wait()
    scheduler.shutdown()
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    events.incident(Incident(1, "kind", 3, at, at, at + timedelta(hours=1), None, "what\\nhappened"))
    events.trouble(RedisUnavailable("away\\nsince long"))
    events.failed(ZeroDivisionError("a bug"))

run()
"""


def told(*arguments: str, **environment: str) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-c", MISHAPS, *arguments],
        capture_output=True,
        check=True,
        env={"PYTHONPATH": str(CHECKOUT), "PYTHONUTF8": "1", **environment},
    )
    assert ran.stdout == b""
    assert b"hunter2" not in ran.stderr
    return ran.stderr.decode().splitlines()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize("more", [[], ["verbose"]])
def test_every_line_is_json_whoever_says_it(encoding: str, more: list[str]) -> None:
    lines: list[dict[str, Any]] = [json.loads(line) for line in told("json", *more, PYTHONIOENCODING=encoding)]
    events = [line["event"] for line in lines]
    assert events.count("not_caught") == 2, "of a thread and of a finaliser"
    assert {"py.warnings", "a.library", "incident", "trouble", "failed"} <= {*events}
    assert any(event.startswith("apscheduler") for event in events)
    assert ("psycopg" in events) == ("sqlalchemy.pool.impl.QueuePool" in events) == bool(more)
    assert all(MOMENT.fullmatch(line["at"]) for line in lines)
    assert any("☃" in line["message"] for line in lines)
    assert sum("in a thread\nof two lines" in line.get("traceback", "") for line in lines) >= 2


def test_an_incident_has_its_own_moments_in_the_same_form() -> None:
    (incident,) = [said for said in map(json.loads, told("json")) if said["event"] == "incident"]
    assert incident["noticed_at"] == incident["exposed_from"] == "2026-01-31T12:00:00.000Z"
    assert incident["exposed_to"] == "2026-01-31T13:00:00.000Z"
    assert incident["at"] > "2026-02"


def test_as_text_each_event_is_a_line_too() -> None:
    lines = told("text")
    assert sum(bool(MOMENT.match(line)) for line in lines) >= 8
    assert any(line.endswith("error away since long; the worker goes on trying") for line in lines)


@pytest.mark.parametrize("zone", [UTC, datetime.now().astimezone().tzinfo])
def test_a_moment_is_in_utc_to_the_millisecond(zone: Any) -> None:
    moment = datetime(2026, 1, 31, 12, 0, 0, 1999, tzinfo=UTC)
    assert iso(moment.astimezone(zone)) == "2026-01-31T12:00:00.001Z"
