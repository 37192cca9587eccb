"""One item: like it, unlike it, read its live total."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict

from likes.api.opened import Opened
from likes.api.paths import item_in
from likes.items import DEFAULT_COUNTER

router = APIRouter(prefix="/v1/items")


class Like(BaseModel):
    """How much of which counter."""

    model_config = ConfigDict(extra="forbid", strict=True)

    count: int = 1
    counter: str = DEFAULT_COUNTER


class Counted(BaseModel):
    """What was counted, and the item's pending delta after it."""

    item: str
    counter: str
    delta: int
    pending: int


@router.post("/{item}/likes", status_code=202)
async def like(item: str, api: Opened, body: Annotated[Like | None, Body()] = None) -> Counted:
    """Count likes of an item."""
    named, wanted = item_in(item), body or Like()
    with api.figures.counting():
        pending = await api.likes.like(named, wanted.count, counter=wanted.counter)
    return Counted(item=named, counter=wanted.counter, delta=wanted.count, pending=pending)


@router.delete("/{item}/likes", status_code=202)
async def unlike(item: str, api: Opened, counter: str = DEFAULT_COUNTER) -> Counted:
    """Take one like of an item back."""
    named = item_in(item)
    with api.figures.counting():
        pending = await api.likes.unlike(named, counter=counter)
    return Counted(item=named, counter=counter, delta=-1, pending=pending)


@router.get("/{item}")
async def total(item: str, api: Opened, counter: str = DEFAULT_COUNTER) -> dict[str, Any]:
    """The live total of an item, with its parts."""
    named = item_in(item)
    live = (await api.likes.live([named], counter=counter))[named]
    return {"item": named, "counter": counter, **live._asdict()}
