"""All findings about what some settings lead to."""

from __future__ import annotations

from collections.abc import Iterator

from likes.config.settings import Settings
from likes.connect import Places
from likes.errors import LikesError
from worker.checks.database import check_database, is_away
from worker.checks.finding import Finding
from worker.checks.redis import check_redis
from worker.checks.settings import check_settings
from worker.checks.together import check_together
from worker.checks.undecided import check_undecided


def find_everything(settings: Settings) -> Iterator[Finding]:
    """Look at the settings, at Redis, at the database, and at how they fit together. Raises nothing."""
    yield from check_settings(settings)
    places = Places.from_settings(settings)
    yield from check_redis(places, settings.prefix, range(settings.shards), settings.durability)
    try:
        engine = places.open_database(pool_size=1)
    except LikesError as error:
        yield is_away(error)
        return
    try:
        if (yield from check_database(engine)):
            yield from check_together(engine, places, settings.prefix, settings.shards)
            yield from check_undecided(engine, settings.prefix)
    finally:
        places.close_database(engine)
