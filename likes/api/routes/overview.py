"""What the page shows, as server-sent events: for those who are signed in to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import Response

from likes.api.event_stream import EventStream
from likes.api.opened import Opened
from likes.api.overview import SECTIONS
from likes.api.page_session import cookie_of, require_signed_in

router = APIRouter(prefix="/v1/overview", dependencies=[Depends(require_signed_in)], include_in_schema=False)


@router.get("/events", response_class=Response)
async def events(api: Opened, request: Request, last_event_id: Annotated[str | None, Header()] = None) -> Response:
    """Stream the sections of the page, those that changed about once a second; its session lives on meanwhile."""
    is_signed_in = partial(api.signed_in.is_signed_in, cookie_of(request))
    return EventStream(api.overview, SECTIONS, _words, last_event_id, is_signed_in)


def _words(changed: Mapping[str, Any]) -> Sequence[tuple[str, Any]]:
    return [("overview", changed)]
