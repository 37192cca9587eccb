"""Whether this process lives, and whether it can do its work: for load balancers, Kubernetes and people. No key."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from likes.api.openapi import gives
from likes.api.opened import Api, Opened
from likes.api.problems import RETRY_SECONDS, Problem

router = APIRouter(tags=["health"])


@router.get("/livez", responses=gives(200, "Alive", "The process answers"))
async def alive(api: Opened) -> Response:
    """Whether the process lives, whatever its servers do; 503 once it takes no more requests."""
    _check_it_goes_on(api)
    return JSONResponse({"status": "alive"})


@router.get("/readyz", responses=gives(200, "Ready", "Likes are counted"))
async def ready(api: Opened) -> Response:
    """Whether likes can be counted: Redis takes writes, or will soon. Answers within a second, of the last second."""
    _check_it_goes_on(api)
    redis, database = await api.readiness.seen()
    if redis not in ("ok", "resharding"):
        detail = f"Redis is {redis}: likes are not accepted now"
        raise _unavailable(f"redis-{redis}", detail, redis=redis, database=database)
    status = "ready" if (redis, database) == ("ok", "ok") else "degraded"
    return JSONResponse({"status": status, "redis": redis, "database": database})


def _check_it_goes_on(api: Api) -> None:
    if api.stopping.is_set():
        raise _unavailable("stopping", "this process ends, and takes no more requests")


def _unavailable(type_: str, detail: str, **extensions: str) -> Problem:
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, type_, detail, headers=headers, **extensions)
