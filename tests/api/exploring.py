"""Tells schemathesis what the document cannot: texts of so many bytes, and where keys and tokens come from."""

from __future__ import annotations

import os
from typing import Any

import httpx
import schemathesis
from hypothesis import strategies as st

KEY = os.environ.get("EXPLORED_WITH_KEY")

_TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=255)
_SHORT = _TEXTS.filter(lambda text: len(text.encode()) <= 255)

schemathesis.openapi.format("item", _SHORT.filter(lambda text: text not in (".", "..")))
schemathesis.openapi.format("user", _SHORT)


@schemathesis.auth(refresh_interval=None).apply_to(path_regex="^/v1/session(/|$)")
class OwnSession:
    """A session for each request, as many of them end it."""

    def get(self, case: Any, _: Any) -> str:
        """Begin one; its token."""
        base = case.operation.base_url.rstrip("/")
        begun = httpx.post(f"{base}/v1/sessions", headers={"X-API-Key": KEY} if KEY else {})
        return str(begun.raise_for_status().json()["token"])

    def set(self, case: Any, token: str, _: Any) -> None:
        """Send it."""
        case.headers["Authorization"] = f"Bearer {token}"
        if KEY and case.operation.path.endswith("/rotate"):
            case.headers["X-API-Key"] = KEY


if KEY:

    @schemathesis.auth().apply_to(path_regex="^/v1/").skip_for(path_regex="^/v1/session(/|$)")
    class Key:
        """A full key for all else."""

        def get(self, *_: Any) -> str:
            """The key."""
            return str(KEY)

        def set(self, case: Any, key: str, _: Any) -> None:
            """Send it."""
            case.headers["Authorization"] = f"Bearer {key}"
