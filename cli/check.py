"""`likes check`: whether all is set up as it should be."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.exits import Code
from cli.options import Json, settings_of
from cli.output import as_json, as_table


def check(
    context: typer.Context,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count, too.")] = False,
    json: Json = False,
) -> None:
    """Look at the servers and the settings, and say what to do about what is not as it should be.

    Exit code 1: there is an error, or with --strict a warning. A fix is what to type: a command, a statement for the
    database; or a sentence, where no command mends it. A worker makes the same checks when it starts, and logs them.

    $ likes check
    $ likes check --strict --json
    """
    from worker.checks.everything import find_everything
    from worker.checks.finding import Level

    findings = list(find_everything(settings_of(context)))
    bad = {Level.ERROR, Level.WARNING} if strict else {Level.ERROR}
    ok = all(finding.level not in bad for finding in findings)
    if json:
        as_json({"ok": ok, "findings": [finding._asdict() for finding in findings]})
    else:
        as_table(["level", "name", "found", "fix"], [finding._asdict() for finding in findings])
    if not ok:
        raise typer.Exit(Code.FAILED)
