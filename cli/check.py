"""`likes check`: whether all is set up as it should be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from cli.exits import Code
from cli.options import Json, settings_of
from cli.output import as_json, as_table

if TYPE_CHECKING:
    from cli.checks.finding import Finding
    from likes.config.settings import Settings


def check(context: typer.Context, json: Json = False) -> None:
    """Look at the servers and the settings, and say what to do about what is not as it should be.

    Exit code 1: there is an error. Warnings do not count.

    $ likes check
    $ likes check --json
    """
    from cli.checks.finding import Level

    findings = list(_findings(settings_of(context)))
    ok = all(finding.level is not Level.ERROR for finding in findings)
    if json:
        as_json({"ok": ok, "findings": [finding._asdict() for finding in findings]})
    else:
        as_table(["level", "name", "found", "fix"], [finding._asdict() for finding in findings])
    if not ok:
        raise typer.Exit(Code.FAILED)


def _findings(settings: Settings) -> Iterator[Finding]:
    from cli.checks.database import check_database
    from cli.checks.redis import check_redis
    from cli.checks.settings import check_settings
    from likes.connect import Places

    yield from check_settings(settings)
    places = Places.from_settings(settings)
    yield from check_redis(places, settings.prefix, range(settings.shards))
    yield from check_database(places, settings.prefix, settings.shards)
