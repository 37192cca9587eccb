"""One item or several: like one, unlike it, read live totals."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from likes.api.inputs import fields, json_body, no_body, query, whole
from likes.api.json_text import counted_json
from likes.api.keys import Anyone, Caller
from likes.api.once import key_of, like_or_once
from likes.api.openapi import body, gives
from likes.api.opened import Opened
from likes.api.paths import Item
from likes.api.problems import invalid
from likes.api.schemas import COUNTER_PARAMETER, IDEMPOTENCY_PARAMETER, ITEM, ITEMS_PARAMETER, MOST_ITEMS
from likes.items import DEFAULT_COUNTER, check_count
from likes.live.total import LiveTotal

router = APIRouter(prefix="/v1/items", tags=["likes"], dependencies=[Anyone])

PATH_ITEM = {"name": "item", "in": "path", "required": True, "schema": ITEM}
WANTS_LIKE = {"parameters": [PATH_ITEM, IDEMPOTENCY_PARAMETER], "requestBody": body("Like", required=False)}


@router.post(
    "/{item}/likes",
    status_code=202,
    responses=gives(202, "Counted", "Redis has it, and it will be in the database once"),
    openapi_extra=WANTS_LIKE,
)
async def like(item: Item, api: Opened, request: Request, caller: Annotated[Caller, Anyone]) -> Response:
    """Count likes of an item: one of the counter `likes`, or as the body says."""
    query(request)
    wanted = fields(await json_body(request), ("count", "counter"), "the body")
    count = caller.check_count(check_count(whole(wanted.get("count", 1))))
    counter = wanted.get("counter", DEFAULT_COUNTER)
    pending = await like_or_once(api, item, count, counter, key_of(request.scope, caller.name))
    return counted(item, counter, count, pending)


@router.delete(
    "/{item}/likes",
    status_code=202,
    responses=gives(202, "Counted", "Redis has it, and it will be in the database once"),
    openapi_extra={"parameters": [PATH_ITEM, COUNTER_PARAMETER, IDEMPOTENCY_PARAMETER]},
)
async def unlike(item: Item, api: Opened, request: Request, caller: Annotated[Caller, Anyone]) -> Response:
    """Take one like of an item back."""
    counter = counter_in(query(request, "counter"))
    await no_body(request)
    pending = await like_or_once(api, item, -1, counter, key_of(request.scope, caller.name))
    return counted(item, counter, -1, pending)


@router.get(
    "/{item}",
    responses=gives(200, "LiveTotal", "True at some moment while it was read"),
    openapi_extra={"parameters": [PATH_ITEM, COUNTER_PARAMETER]},
)
async def total(item: Item, api: Opened, request: Request) -> Response:
    """The live total of an item, with its parts; 0 if nobody ever liked it."""
    counter = counter_in(query(request, "counter"))
    live = (await api.likes.live([item], counter=counter, or_database=True))[item]
    return JSONResponse(shown(item, counter, live))


@router.get(
    "",
    responses=gives(200, "LiveTotals", "Each true at some moment while they were read"),
    openapi_extra={"parameters": [ITEMS_PARAMETER, COUNTER_PARAMETER]},
)
async def totals(api: Opened, request: Request) -> Response:
    """The live totals of several items, read together."""
    items, counter = items_in(request)
    live = await api.likes.live(items, counter=counter, or_database=True)
    return JSONResponse({"items": [shown(item, counter, live[item]) for item in items]})


def items_in(request: Request) -> tuple[list[str], str]:
    """The items that a query asks for, and their counter."""
    given = query(request, "item", "counter", several="item")
    items = given.get("item", [])
    if not 1 <= len(items) <= MOST_ITEMS:
        raise invalid(f"{len(items)} items are asked for; allowed: 1 to {MOST_ITEMS}, as ?item=a&item=b")
    return items, counter_in(given)


def counter_in(given: dict[str, list[str]]) -> str:
    """The counter that a query names."""
    return given.get("counter", [DEFAULT_COUNTER])[0]


def counted(item: str, counter: str, delta: int, pending: int) -> Response:
    """The answer to a like that counted."""
    return Response(counted_json(item, counter, delta, pending), 202, media_type="application/json")


def shown(item: str, counter: str, live: LiveTotal) -> dict[str, Any]:
    """A live total in an answer."""
    return {"item": item, "counter": counter, **parts_of(live)}


def parts_of(live: LiveTotal) -> dict[str, Any]:
    """What an answer tells of a live total; `doubt` only where there is one."""
    parts = live._asdict()
    return parts if live.doubt else {name: parts[name] for name in parts if name != "doubt"}
