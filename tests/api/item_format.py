"""Tells schemathesis what `format: item` is, which a pattern cannot say: so many bytes of UTF-8."""

from __future__ import annotations

import schemathesis
from hypothesis import strategies as st

_TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=255)

schemathesis.openapi.format("item", _TEXTS.filter(lambda text: text not in (".", "..") and len(text.encode()) <= 255))
