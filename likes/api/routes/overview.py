"""What the page shows, as server-sent events: for those who are signed in to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header
from fastapi.responses import Response

from likes.api.event_stream import EventStream
from likes.api.opened import Opened
from likes.api.overview import SECTIONS
from likes.api.page_session import require_signed_in

router = APIRouter(prefix="/v1/overview", dependencies=[Depends(require_signed_in)], include_in_schema=False)


@router.get("/events", response_class=Response)
async def events(api: Opened, last_event_id: Annotated[str | None, Header()] = None) -> Response:
    """Stream the sections of the page, those that changed about once a second."""
    return EventStream(api.overview, SECTIONS, _words, last_event_id)


def _words(changed: Mapping[str, Any]) -> Sequence[tuple[str, Any]]:
    return [("overview", changed)]
