"""The blocks of a page of documentation: what stands between ```language and ```."""

from __future__ import annotations

import re
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
README = CHECKOUT / "README.md"
DOCS = CHECKOUT / "docs"


def blocks(page: Path, language: str, *, holding: str = "") -> list[str]:
    """The text of every block in `language` that holds some words."""
    found = re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language and holding in text]


def block(page: Path, language: str, holding: str) -> str:
    """The one block in `language` that holds some words."""
    (text,) = blocks(page, language, holding=holding)
    return text
