"""Many likes in one request: each entry for itself, so that none hides what became of the others."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from likes.api import problems
from likes.api.inputs import fields, json_body, query, whole
from likes.api.keys import Anyone, Caller
from likes.api.once import each_or_once, key_of
from likes.api.openapi import body, gives
from likes.api.opened import Api, Opened
from likes.api.problems import Problem, invalid
from likes.api.schemas import IDEMPOTENCY_PARAMETER, MOST_ENTRIES
from likes.errors import InvalidInput, LikesError
from likes.items import DEFAULT_COUNTER, check_count, check_counter, check_item

router = APIRouter(prefix="/v1/likes", tags=["likes"], dependencies=[Anyone])


class Entry(NamedTuple):
    """How much of what, checked."""

    item: str
    counter: str
    delta: int


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
    return _answer(await count_each(api, [_entry(each, caller) for each in wanted], key_of(request.scope, caller.name)))


async def count_each(
    api: Api, entries: Sequence[Entry | Problem], key: bytes | None = None
) -> list[tuple[Entry | None, int | Problem | None]]:
    """Each entry, if it is one, with its pending delta once it is counted, or the problem it has."""
    good = [entry for entry in entries if isinstance(entry, Entry)]
    outcomes = iter(await each_or_once(api, [(entry.item, entry.delta, entry.counter) for entry in good], key))
    told: list[tuple[Entry | None, int | Problem | None]] = []
    for entry in entries:
        if isinstance(entry, Problem):
            told.append((None, entry))
        else:
            outcome = next(outcomes)
            told.append((entry, problems.of(outcome) if isinstance(outcome, LikesError) else outcome))
    refused = [what for _, what in told if isinstance(what, Problem)]
    for problem in refused:
        api.figures.refused(problem)
    api.figures.accepted(len(told) - len(refused))
    return told


def _entry(value: object, caller: Caller) -> Entry | Problem:
    named: dict[str, str] = {}
    try:
        given = fields(value, ("item", "count", "counter"), "an entry")
        if "item" not in given:
            return invalid("an entry has no item")
        named["item"] = check_item(given["item"])
        named["counter"] = check_counter(given.get("counter", DEFAULT_COUNTER))
        return Entry(**named, delta=caller.check_count(check_count(whole(given.get("count", 1)))))
    except InvalidInput as error:
        problem = problems.of(error)
    except Problem as error:
        problem = error
    problem.extensions.update(named)
    return problem


def _answer(told: list[tuple[Entry | None, int | Problem | None]]) -> Response:
    results = [_result(entry, outcome) for entry, outcome in told]
    failed = [outcome for _, outcome in told if isinstance(outcome, Problem)]
    if len(failed) < len(told):
        return JSONResponse({"results": results}, HTTPStatus.ACCEPTED)
    worst = max(failed, key=_gravity)
    return Problem(worst.status, worst.type, worst.detail, headers=worst.headers, results=results).response()


def _gravity(problem: Problem) -> tuple[bool, int]:
    """What cannot be known outweighs what may be sent again, and that what may not."""
    return problem.type == "outcome-unknown", problem.status


def _result(entry: Entry | None, outcome: int | Problem | None) -> dict[str, Any]:
    named = {"item": entry.item, "counter": entry.counter} if entry else {}
    if isinstance(outcome, Problem):
        return {**named, **outcome.body()}
    pending = {} if outcome is None else {"pending": outcome}  # an earlier request counted it
    return {**named, "delta": entry.delta if entry else 0, **pending}
