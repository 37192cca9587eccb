"""What a request says beside its path, read strictly: its query, its body. Whatever is wrong is named in a 400.

By hand, as the libraries' ways lose what was sent: they replace bytes that are not UTF-8, take the last of two equal
names, pass over names they do not know, and read `application/json` where a cross-site form could have written it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from email.message import Message
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request

from likes.api.paths import require_escapes
from likes.api.problems import Problem, invalid
from likes.items import shorten

LARGEST_BODY = 65_536
MOST_PARAMETERS = 1_000


def query(request: Request, *allowed: str, several: str = "") -> dict[str, list[str]]:
    """Name -> values of the query; raises Problem for a name not `allowed`, and for two of one but for `several`."""
    try:
        sent = request.scope["query_string"].decode()
        require_escapes(sent, "query")
        pairs = parse_qsl(
            sent,
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_PARAMETERS,
        )
    except UnicodeDecodeError:
        raise invalid("the query is not UTF-8, percent-encoded") from None
    except ValueError:
        raise invalid(f"the query has more than {MOST_PARAMETERS} parameters") from None
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    _refuse_unknown(values, allowed, "parameter of the query")
    for name, given in values.items():
        if len(given) > 1 and name != several:
            raise invalid(f"{name} is in the query {len(given)} times")
    return values


async def json_body(request: Request) -> Any:
    """The JSON that a request brings; {} if it brings nothing. Raises Problem."""
    _check_type(request)
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_BODY:
            raise Problem(
                HTTPStatus(413), "content-too-large", f"the body is longer than {LARGEST_BODY} bytes; send less at once"
            )
    return _parse(body) if body else {}


async def no_body(request: Request) -> None:
    """Raise Problem if the request brings one, which would be passed over."""
    async for piece in request.stream():
        if piece:
            raise invalid(f"{request.method} takes no body, which not every proxy passes on; use the query")


def whole(number: object) -> object:
    """`number`, as a whole one where it is: JSON knows one kind of number, in which 1.0 and 1e0 are 1."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def fields(value: object, allowed: Collection[str], what: str) -> dict[str, Any]:
    """`value` if it is an object with no other fields than those `allowed`; raises Problem."""
    if not isinstance(value, dict):
        raise invalid(f"{what} is not a JSON object")
    _refuse_unknown(value, allowed, f"field of {what}")
    return value


def _refuse_unknown(given: Collection[str], allowed: Collection[str], what: str) -> None:
    if unknown := [name for name in given if name not in allowed]:
        names = ", ".join(allowed) or "none"
        raise invalid(f"{shorten(ascii(unknown[0]))} is no {what}; allowed: {names}")


def _check_type(request: Request) -> None:
    """Raise Problem for anything but JSON: a form of another site's page can send other types without being asked."""
    given = request.headers.getlist("content-type")
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    if given or has_body:
        kind = Message()
        kind["content-type"] = given[0] if len(given) == 1 else ""
        charset = kind.get_param("charset", "utf-8")
        if kind.get_content_type() != "application/json" or str(charset).lower() not in ("utf-8", "us-ascii"):
            shown = ascii(shorten(", ".join(given))) if given else "none"
            raise _unsupported(f"the Content-Type is {shown}; send application/json in UTF-8", "application/json")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise _unsupported("the body has a Content-Encoding; send it as it is", None)


def _unsupported(detail: str, accept: str | None) -> Problem:
    headers = {"Accept-Post": accept} if accept else {"Accept-Encoding": "identity"}
    return Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail, headers=headers)


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise invalid(f"the body is not UTF-8: byte {error.start + 1} is {body[error.start]:#04x}") from None
    except json.JSONDecodeError as error:
        raise invalid(f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except ValueError:
        raise invalid("the body has a number that is too long") from None
    except RecursionError:
        raise invalid("the body is nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise invalid(f"the body has the field {shorten(ascii(twice))} twice in one object")
    return found


def _no_constant(name: str) -> object:
    raise invalid(f"the body has {name}, which is no JSON")
