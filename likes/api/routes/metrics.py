"""What Prometheus reads."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header
from starlette.responses import PlainTextResponse, Response

from likes.api.keys import Full
from likes.api.opened import Opened

router = APIRouter(dependencies=[Full], include_in_schema=False)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(api: Opened, accept: Annotated[str, Header()] = "") -> Response:
    """The figures of all processes of this server, and how things stand, in the text format of Prometheus."""
    content, media_type = await api.figures.scrape(accept)
    return Response(content, media_type=media_type)
