"""The settings in force, and variables that look like settings and are none."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from cli.checks.finding import Finding, Level
from likes.config.settings import Settings, unknown_variables, variable


def check_settings(settings: Settings) -> Iterator[Finding]:
    """What the settings say."""
    for name, value in settings.shown().items():
        yield Finding(Level.INFO, name, value)
    known = [variable(name) for name in Settings.model_fields]
    for name in unknown_variables():
        likely = get_close_matches(name.upper(), known, n=1)
        fix = f"is {likely[0]} meant?" if likely else "remove it, or see likes --help for the settings there are"
        yield Finding(Level.WARNING, name, "no such setting; it has no effect", fix)
