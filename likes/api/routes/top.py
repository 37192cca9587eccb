"""The items with the largest totals in the database."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from likes.api.inputs import query
from likes.api.keys import Anyone
from likes.api.openapi import gives, parameter
from likes.api.opened import Opened
from likes.api.problems import invalid
from likes.api.routes.items import counter_in
from likes.api.schemas import COUNTER_PARAMETER, MOST_RANKED, RANKED
from likes.moments import iso

router = APIRouter(prefix="/v1/top", tags=["likes"], dependencies=[Anyone])

LIMIT = parameter("limit", {"type": "integer", "minimum": 1, "maximum": MOST_RANKED, "default": RANKED})


@router.get(
    "",
    responses=gives(200, "Totals", "Largest first; read at most a few seconds ago"),
    openapi_extra={"parameters": [LIMIT, COUNTER_PARAMETER]},
)
async def top(api: Opened, request: Request) -> Response:
    """The most liked items, by what the database holds: what is pending shows after the next flush."""
    given = query(request, "limit", "counter")
    totals = await api.ranking.top(counter_in(given), _limit(given.get("limit", [str(RANKED)])[0]))
    return JSONResponse(
        {
            "items": [
                {
                    "item": each.item,
                    "counter": each.counter,
                    "total": each.total,
                    "updated_at": iso(each.updated_at) if each.updated_at else None,
                }
                for each in totals
            ]
        }
    )


def _limit(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 9 and 1 <= int(text) <= MOST_RANKED:
        return int(text)
    raise invalid(f"limit has to be a whole number, 1 to {MOST_RANKED}")
