"""Live totals as they change, as server-sent events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from likes.api.event_schemas import LAST_EVENT_ID, STREAM
from likes.api.event_stream import EventStream
from likes.api.keys import Anyone
from likes.api.live_feed import Counted, Trouble
from likes.api.opened import Opened
from likes.api.routes.items import items_in, parts_of
from likes.api.schemas import COUNTER_PARAMETER, ITEMS_PARAMETER
from likes.items import check_counter, check_item
from likes.live.total import LiveTotal

router = APIRouter(prefix="/v1/events", tags=["likes"], dependencies=[Anyone])

DESCRIPTION = """Stream live totals as they change.

The first event, `totals`, has the live total of every item; each later one has those that changed, which is looked for
twice a second. `trouble`, a problem with the items it is about, stands for totals that cannot be read now. A comment
comes when 15 seconds were silent. Come back with the last `id` in `Last-Event-ID` (browsers do), and all totals are
told again only if they changed meanwhile.
"""


@router.get(
    "",
    response_class=Response,
    responses={200: STREAM},
    openapi_extra={"parameters": [ITEMS_PARAMETER, COUNTER_PARAMETER, LAST_EVENT_ID]},
    description=DESCRIPTION,
)
async def events(api: Opened, request: Request) -> Response:
    """Stream live totals as they change."""
    items, counter = items_in(request)
    watched = [Counted(check_counter(counter), check_item(each)) for each in items]
    return EventStream(api.live, watched, _words, request.headers.get("last-event-id"))


def _words(changed: Mapping[Counted, LiveTotal | Trouble]) -> Sequence[tuple[str, Any]]:
    (counter,) = {key.counter for key in changed}
    totals: list[dict[str, Any]] = []
    troubles: dict[Trouble, list[str]] = {}
    for key, found in changed.items():
        if isinstance(found, Trouble):
            troubles.setdefault(found, []).append(key.item)
        else:
            totals.append({"item": key.item, **parts_of(found)})
    told: list[tuple[str, Any]] = [("totals", {"counter": counter, "totals": totals})] if totals else []
    told += [("trouble", {**why._asdict(), "counter": counter, "items": items}) for why, items in troubles.items()]
    return told
