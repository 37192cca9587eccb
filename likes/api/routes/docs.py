"""The OpenAPI document, and the page that shows it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from likes.api.docs_page import POLICY, STYLE, page

router = APIRouter(include_in_schema=False)

FOR_MINUTES = "public, max-age=300"


@router.get("/openapi.json")
async def document(request: Request) -> Response:
    """What can be asked, and how, as OpenAPI 3.1."""
    return JSONResponse(request.app.openapi(), headers={"Cache-Control": FOR_MINUTES})


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The same for people."""
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": FOR_MINUTES}
    return Response(page(request.app.openapi()), headers=headers, media_type="text/html; charset=utf-8")


@router.get("/docs.css")
async def style() -> Response:
    """How it looks."""
    return Response(STYLE, headers={"Cache-Control": FOR_MINUTES}, media_type="text/css; charset=utf-8")
