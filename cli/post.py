"""`likes post` and `likes unlike`: count likes of one item, or of all in a file."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.arguments import parse_count
from cli.lines import Format
from cli.options import COUNTER, Counter, Json, settings_of
from cli.output import as_json, line
from likes.errors import InvalidInput
from likes.items import check_item

Count = Annotated[str, typer.Option("--count", "-n", metavar="N", help="How many: a whole number within ±2^31.")]
ITEM = typer.Argument(metavar="ITEM", help="What is liked: 1 to 255 bytes of UTF-8.", show_default=False)


def post(
    context: typer.Context,
    item: Annotated[str | None, ITEM] = None,
    count: Count = "1",
    counter: Counter = COUNTER,
    file: Annotated[
        str | None, typer.Option("--file", "-f", metavar="FILE", help="Count all lines of a file; - is stdin.")
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="auto goes by the first line.")] = Format.AUTO,
    strict: Annotated[bool, typer.Option("--strict", help="Count nothing if any line is bad.")] = False,
    json: Json = False,
) -> None:
    """Count likes of an item, or of all items in a file.

    A file has a JSON object a line, {"item": "video:42", "count": 3, "counter": "likes"}; or is CSV with the header
    item,count or item,count,counter; or has one item a line. Count and counter may be left out. Bad lines are named by
    their number and skipped: exit code 3.

    $ likes post video:42
    $ likes post video:42 -n 5 --counter views
    $ likes post --file likes.csv
    $ zcat likes.gz | likes post --file -
    """
    if file is not None:
        if item is not None:
            raise InvalidInput("give an ITEM or --file, not both")
        if count != "1":
            raise InvalidInput("--count is for an ITEM; a file says how many by itself")
        from cli.post_file import post_file

        post_file(context, file, format_, counter, strict=strict, json=json)
    elif item is None:
        raise InvalidInput("give an ITEM, or --file FILE for many")
    elif strict or format_ is not Format.AUTO:
        raise InvalidInput("--strict and --format are for --file")
    else:
        _post_one(context, item, parse_count(count), counter, json=json)


def unlike(
    context: typer.Context,
    item: Annotated[str, ITEM],
    count: Count = "1",
    counter: Counter = COUNTER,
    json: Json = False,
) -> None:
    """Take likes of an item back.

    $ likes unlike video:42
    $ likes unlike video:42 -n 5
    """
    _post_one(context, item, -parse_count(count), counter, json=json)


def _post_one(context: typer.Context, item: str, count: int, counter: str, *, json: bool) -> None:
    from likes import LikeCounter

    check_item(item)
    with LikeCounter.from_settings(settings_of(context)) as likes:
        pending = likes.like(item, count, counter=counter)
    if json:
        as_json({"item": item, "counter": counter, "delta": count, "pending": pending})
    else:
        line(f"{item}: {pending} pending")
