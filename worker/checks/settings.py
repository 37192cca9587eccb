"""The settings in force, and variables that look like settings and are none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import get_close_matches

from likes.config.settings import Settings, unknown_variables, variable
from worker.checks.finding import Finding, Level


def check_settings(settings: Settings) -> Iterator[Finding]:
    """What the settings say."""
    for name, value in settings.shown().items():
        yield Finding(Level.INFO, name, value)
    known = [variable(name) for name in Settings.model_fields]
    for name in unknown_variables():
        likely = get_close_matches(name.upper(), known, n=1)
        meant = f"; is {likely[0]} meant?" if likely else ""
        fix = f"unset {name}" if name in os.environ else f"sed -i '/^ *{name} *=/d' .env"
        yield Finding(Level.WARNING, name, f"no such setting; it has no effect{meant}", fix)
