"""`likes post` and `likes unlike`: count likes of one item, or of all in a file."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.arguments import parse_count
from cli.formats import Extra, Format
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
    extra: Annotated[
        Extra, typer.Option("--extra", help="What to do about other fields than a like's.")
    ] = Extra.REFUSE,
    from_line: Annotated[
        int, typer.Option("--from-line", metavar="N", min=1, help="Leave out the lines before line N.")
    ] = 1,
    rejects: Annotated[
        str | None, typer.Option("--rejects", metavar="FILE", help="Write the lines not counted to a new file.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Count nothing if any line is bad.")] = False,
    json: Json = False,
) -> None:
    """Count likes of an item, or of all items in a file.

    A file has a JSON object a line, {"item": "video:42", "count": 3, "counter": "likes"}; or is CSV with the header
    item,count or item,count,counter; or has one item a line. Count and counter may be left out. Bad lines are named by
    their number and skipped: exit code 3. Files compressed with gzip are read as they are.

    Ctrl-C waits for the answer under way, and says from which line to go on. With --from-line and the lines that
    --rejects has kept, as they were, each line is counted once.

    $ likes post video:42
    $ likes post video:42 -n 5 --counter views
    $ likes post --file likes.csv
    $ likes post --file likes.ndjson.gz --extra ignore --rejects rejects.ndjson
    $ likes post --file likes.csv --from-line 20001
    """
    if file is not None:
        if item is not None:
            raise InvalidInput("give an ITEM or --file, not both")
        if count != "1":
            raise InvalidInput("--count is for an ITEM; a file says how many by itself")
        from cli.post_file import post_file
        from cli.wanted_file import WantedFile

        wanted = WantedFile(file, format_, counter, extra, from_line, rejects, strict)
        post_file(settings_of(context), wanted, json=json)
    elif item is None:
        raise InvalidInput("give an ITEM, or --file FILE for many")
    elif strict or rejects is not None or (format_, extra, from_line) != (Format.AUTO, Extra.REFUSE, 1):
        raise InvalidInput("--format, --extra, --from-line, --rejects and --strict are for --file")
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
