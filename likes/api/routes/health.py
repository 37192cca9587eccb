"""Whether this process lives, and whether it can do its work: for load balancers, Kubernetes and people. No key."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from likes.api.opened import Api, Opened
from likes.api.problems import RETRY_SECONDS, Problem

router = APIRouter()


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """Likes are counted. degraded: the database does not answer, so reads may not; what is liked waits in Redis."""

    status: Literal["ready", "degraded"]
    redis: str
    database: str


@router.get("/livez")
async def alive(api: Opened) -> Alive:
    """Whether the process lives, whatever its servers do; 503 once it takes no more requests."""
    _check_it_goes_on(api)
    return Alive()


@router.get("/readyz")
async def ready(api: Opened) -> Ready:
    """Whether likes can be counted: Redis takes writes. Answers within a second, of the last second."""
    _check_it_goes_on(api)
    redis, database = await api.readiness.seen()
    if redis != "ok":
        detail = f"Redis is {redis}: likes are not accepted now"
        raise _unavailable(f"redis-{redis}", detail, redis=redis, database=database)
    return Ready(status="ready" if database == "ok" else "degraded", redis=redis, database=database)


def _check_it_goes_on(api: Api) -> None:
    if api.stopping.is_set():
        raise _unavailable("stopping", "this process ends, and takes no more requests")


def _unavailable(type_: str, detail: str, **extensions: str) -> Problem:
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, type_, detail, headers=headers, **extensions)
