"""The OpenAPI document as a page: written here, from the document alone; it works offline and without scripts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any

POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
STYLE = Path(__file__).with_name("docs.css").read_text(encoding="utf-8")

Schema = dict[str, Any]


def page(document: dict[str, Any]) -> str:
    """The page for an OpenAPI document."""
    operations = [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = document["components"]["schemas"]
    info = document["info"]
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<title>{escape(info["title"])}: the HTTP API</title><link rel="stylesheet" href="docs.css"></head><body>',
            f"<header><h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>",
            *_paragraphs(info["description"]),
            '<p>For programs: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1)</p></header>',
            "<nav><h2>Requests</h2><ul>",
            *(f'<li><a href="#{_anchor(title)}">{_title(title)}</a></li>' for title, _ in operations),
            "</ul></nav><main>",
            *(line for title, operation in operations for line in _operation(title, operation, document)),
            "<h2>What is sent and answered</h2>",
            *(line for name, schema in schemas.items() for line in _schema(name, schema)),
            "</main></body></html>",
        ]
    )


def _operation(title: str, operation: Schema, document: Schema) -> Iterator[str]:
    yield f'<section id="{_anchor(title)}"><h3>{_title(title)}</h3>'
    yield from _paragraphs(str(operation.get("description", operation.get("summary", ""))))
    if ways := [" and ".join(_scheme(name, document) for name in each) for each in operation.get("security", ())]:
        yield f"<p><strong>Needs:</strong> {', or '.join(ways)}</p>"
    if parameters := operation.get("parameters"):
        rows = (
            (each["name"], "in the path" if each["in"] == "path" else f"in the {each['in']}", _said(each["schema"]))
            for each in parameters
        )
        yield from _table("Parameters", rows)
    if body := operation.get("requestBody"):
        (content,) = body["content"].values()
        needed = "" if body.get("required") else ", which may be left out"
        yield f"<p><strong>Body:</strong> JSON, {_said(content['schema'])}{needed}</p>"
    answers = (
        (
            status,
            answer["description"],
            " ".join(_said(each.get("schema", each.get("itemSchema"))) for each in answer.get("content", {}).values()),
        )
        for status, answer in sorted(operation["responses"].items())
    )
    yield from _table("Answers", answers)
    yield "</section>"


def _schema(name: str, schema: Schema) -> Iterator[str]:
    yield f'<section id="{_anchor(name)}"><h3>{escape(name)}</h3>'
    if about := str(schema.get("description", "")):
        yield f"<p>{_text(about)}</p>"
    if schema.get("type") == "array":
        yield f"<p>{_said({**schema, 'description': ''})}</p>"
    for way in schema.get("oneOf", [schema]):
        required = way.get("required", ())
        rows = [
            (field, "always" if field in required else "optional", _said(each))
            for field, each in way.get("properties", {}).items()
        ]
        if rows:
            yield from _table("Fields", rows)
    for example in schema.get("examples", ()):
        yield f"<pre>{escape(json.dumps(example))}</pre>"
    yield "</section>"


def _table(caption: str, rows: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    yield f"<table><caption>{caption}</caption>"
    for name, what, said in rows:
        yield f'<tr><th scope="row"><code>{escape(name)}</code></th><td>{_text(what)}</td><td>{said}</td></tr>'
    yield "</table>"


def _said(schema: Schema) -> str:
    """A schema in a line of HTML."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f'<a href="#{_anchor(name)}">{escape(name)}</a>'
    if content := schema.get("contentSchema"):
        return f"JSON, {_said(content)}"
    if several := schema.get("anyOf"):
        return " or ".join(map(_said, several))
    if "const" in schema:
        return f"<code>{escape(json.dumps(schema['const']))}</code>"
    words = [escape(_type(schema.get("type", "anything")))]
    if "items" in schema:
        words = [f"list of {_said(schema['items'])}"]
    words += [f"{word} {schema[name]}" for name, word in _LIMITS.items() if name in schema]
    if "default" in schema:
        words.append(f"<code>{escape(json.dumps(schema['default']))}</code> if left out")
    if choices := schema.get("enum"):
        words.append("one of " + " ".join(f"<code>{escape(json.dumps(each))}</code>" for each in choices))
    if about := schema.get("description"):
        words.append(_text(about))
    return ", ".join(words)


def _type(of: str | list[str]) -> str:
    return of if isinstance(of, str) else " or ".join(of)


def _scheme(name: str, document: Schema) -> str:
    said = document["components"]["securitySchemes"][name]["description"]
    return _text(said[0].lower() + said[1:].rstrip("."))


def _paragraphs(words: str) -> Iterator[str]:
    return (f"<p>{_text(part)}</p>" for part in words.strip().split("\n\n"))


_LIMITS = {"minimum": "from", "maximum": "to", "minItems": "at least", "maxItems": "at most", "pattern": "matches"}


def _text(words: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(words))


def _title(title: str) -> str:
    method, _, path = title.partition(" ")
    return f'<span class="method">{method}</span> <code>{escape(path)}</code>'


def _anchor(title: str) -> str:
    return re.sub(r"\W+", "-", title).strip("-").lower()
