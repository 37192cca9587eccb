"""The page that shows the document: complete, and with nothing from elsewhere."""

from __future__ import annotations

import re
from html import unescape

from tests.running_api import RunningApi


def test_every_request_is_on_the_page(shared_api: RunningApi) -> None:
    page = shared_api.client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    shown = unescape(re.sub(r"<[^>]+>", "", page.text))
    document = shared_api.client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert f"{method.upper()} {path}" in shown
            assert operation["description"].split("\n")[0].replace("`", "") in shown
    for name in document["components"]["schemas"]:
        assert name in shown
    assert "anything" not in shown


def test_it_works_offline_and_without_scripts(shared_api: RunningApi) -> None:
    page = shared_api.client.get("/docs")
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    assert not re.search(r"<script|<style|style=|onclick|https?://", page.text)
    assert re.findall(r'<link [^>]*href="([^"]+)"', page.text) == ["docs.css"]
    style = shared_api.client.get("/docs.css")
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert "prefers-color-scheme: dark" in style.text
    assert "url(" not in style.text


def test_every_link_on_it_leads_somewhere(shared_api: RunningApi) -> None:
    page = shared_api.client.get("/docs").text
    anchors = set(re.findall(r'id="([^"]+)"', page))
    for link in re.findall(r'<a href="([^"]+)"', page):
        assert link.removeprefix("#") in anchors or shared_api.client.get(f"/{link}").status_code == 200, link
