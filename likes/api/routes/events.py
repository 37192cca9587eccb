"""Live totals as they change, as server-sent events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response

from likes.api.event_stream import EventStream
from likes.api.keys import Anyone
from likes.api.live_feed import Counted, Trouble
from likes.api.opened import Opened
from likes.items import DEFAULT_COUNTER, check_counter, check_item
from likes.live.total import LiveTotal

MOST_ITEMS = 100

router = APIRouter(prefix="/v1/events", tags=["likes"], dependencies=[Anyone])

DESCRIPTION = """
The first event, `totals`, has the live total of every item; each later one has those that changed, which is looked for
twice a second. `trouble`, a problem with the items it is about, stands for totals that cannot be read now. A comment
comes when 15 seconds were silent. Come back with the last `id` in `Last-Event-ID` (browsers do), and all totals are
told again only if they changed meanwhile.
"""

EXAMPLE = """\
retry: 2000

event: totals
data: {"counter":"likes","totals":[{"item":"video:42","total":7,"database":5,"in_flight":0,"pending":2,"exact":true}]}
id: 0b9c3e5fd6aa41d2c7e81f30

"""


@router.get(
    "",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}, "example": EXAMPLE}}}},
    description=DESCRIPTION,
)
async def events(
    api: Opened,
    item: Annotated[list[str], Query(min_length=1, max_length=MOST_ITEMS)],
    counter: str = DEFAULT_COUNTER,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Stream live totals as they change."""
    watched = [Counted(check_counter(counter), check_item(each)) for each in item]
    return EventStream(api.live, watched, _words, last_event_id)


def _words(changed: Mapping[Counted, LiveTotal | Trouble]) -> Sequence[tuple[str, Any]]:
    (counter,) = {key.counter for key in changed}
    totals: list[dict[str, Any]] = []
    troubles: dict[Trouble, list[str]] = {}
    for key, found in changed.items():
        if isinstance(found, Trouble):
            troubles.setdefault(found, []).append(key.item)
        else:
            totals.append({"item": key.item, **found._asdict()})
    told: list[tuple[str, Any]] = [("totals", {"counter": counter, "totals": totals})] if totals else []
    told += [("trouble", {**why._asdict(), "counter": counter, "items": items}) for why, items in troubles.items()]
    return told
