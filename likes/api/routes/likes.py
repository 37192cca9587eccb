"""Many likes in one request: each entry for itself, so that none hides what became of the others."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from likes.api import problems
from likes.api.inputs import fields, json_body, query, whole
from likes.api.json_text import counted_json, json_text
from likes.api.keys import Anyone, Caller
from likes.api.once import each_or_once, key_of
from likes.api.openapi import body, gives
from likes.api.opened import Api, Opened
from likes.api.problems import Problem, invalid
from likes.api.schemas import IDEMPOTENCY_PARAMETER, MOST_ENTRIES
from likes.errors import InvalidInput, LikesError
from likes.items import DEFAULT_COUNTER, check_count, check_counter, check_entries, check_item

FIELDS = ("item", "count", "counter")

router = APIRouter(prefix="/v1/likes", tags=["likes"], dependencies=[Anyone])


Entry = tuple[str, int, str]  # item, delta and counter, checked


@router.post(
    "",
    status_code=202,
    responses=gives(202, "Results", "At least one was counted; the results say which"),
    openapi_extra={"parameters": [IDEMPOTENCY_PARAMETER], "requestBody": body("Likes", required=True)},
)
async def like_many(api: Opened, request: Request, caller: Annotated[Caller, Anyone]) -> Response:
    """Count many likes, up to 1,000 entries. A refused entry says why, and the others count.

    If none was counted the answer is a problem, that of an entry, with all `results` in it.
    """
    query(request)
    wanted = fields(await json_body(request), ("likes",), "the body").get("likes")
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= MOST_ENTRIES:
        raise invalid(
            f'the body has to be {{"likes": […]}} with 1 to {MOST_ENTRIES} entries, each {{"item", "count", "counter"}}'
        )
    entries = _entries(wanted, caller)
    return _answer(entries, await _count_each(api, entries, key_of(request.scope, caller.name)))


def _entries(wanted: list[object], caller: Caller) -> Sequence[Entry | Problem]:
    together = _checked_together(wanted) if caller.is_full else None
    return together or [_entry(each, caller) for each in wanted]


def _checked_together(wanted: list[Any]) -> list[Entry] | None:
    """The entries, if each is as plain as most are, which is found out sooner for all of them; else None."""
    try:
        entries = [(each["item"], each.get("count", 1), each.get("counter", DEFAULT_COUNTER)) for each in wanted]
        check_entries(*zip(*entries, strict=True))
    except (AttributeError, InvalidInput, KeyError, TypeError):
        return None
    return entries if all(map({*FIELDS}.issuperset, wanted)) else None


def _entry(value: object, caller: Caller) -> Entry | Problem:
    named: dict[str, str] = {}
    try:
        given = fields(value, FIELDS, "an entry")
        if "item" not in given:
            return invalid("an entry has no item")
        item = named["item"] = check_item(given["item"])
        counter = named["counter"] = check_counter(given.get("counter", DEFAULT_COUNTER))
        return item, caller.check_count(check_count(whole(given.get("count", 1)))), counter
    except InvalidInput as error:
        problem = problems.of(error)
    except Problem as error:
        problem = error
    problem.extensions.update(named)
    return problem


async def _count_each(api: Api, entries: Sequence[Entry | Problem], key: bytes | None) -> list[int | Problem | None]:
    """What became of each: its pending delta, None where an earlier request counted it, or the problem it has."""
    good = [entry for entry in entries if not isinstance(entry, Problem)]
    outcomes = iter(await each_or_once(api, good, key))
    told: list[int | Problem | None] = []
    for entry in entries:
        outcome = entry if isinstance(entry, Problem) else next(outcomes)
        told.append(problems.of(outcome) if isinstance(outcome, LikesError) else outcome)
    refused = [outcome for outcome in told if isinstance(outcome, Problem)]
    for problem in refused:
        api.figures.refused(problem)
    api.figures.accepted(len(told) - len(refused))
    return told


def _answer(entries: Sequence[Entry | Problem], told: Sequence[int | Problem | None]) -> Response:
    failed = [outcome for outcome in told if isinstance(outcome, Problem)]
    if len(failed) == len(told):
        worst = max(failed, key=_gravity)
        results = [*map(_refused, entries, failed)]
        return Problem(worst.status, worst.type, worst.detail, headers=worst.headers, results=results).response()
    body = f'{{"results":[{",".join(map(_result, entries, told))}]}}'
    return Response(body.encode(), HTTPStatus.ACCEPTED, media_type="application/json")


def _gravity(problem: Problem) -> tuple[bool, int]:
    """What cannot be known outweighs what may be sent again, and that what may not."""
    return problem.type == "outcome-unknown", problem.status


def _result(entry: Entry | Problem, outcome: int | Problem | None) -> str:
    if isinstance(outcome, Problem):
        return json_text(_refused(entry, outcome))
    assert not isinstance(entry, Problem)  # noqa: S101 (for mypy)
    item, delta, counter = entry
    return counted_json(item, counter, delta, outcome)


def _refused(entry: Entry | Problem, problem: Problem) -> dict[str, Any]:
    if isinstance(entry, Problem):
        return problem.body()
    item, _, counter = entry
    return {"item": item, "counter": counter, **problem.body()}
