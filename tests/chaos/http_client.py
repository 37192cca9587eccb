"""A client of the API as its documentation wants it: with an idempotency key, and again what was not answered."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from tests.chaos.journal import Pen

if TYPE_CHECKING:
    from tests.chaos.members import Life

PATIENCE_SECONDS = 20.0  # how long it sends again what was not answered
AGAIN_SECONDS = 0.1
TIMEOUT = 8.0
NOT_COUNTED = {"redis-full", "redis-unavailable", "database-unavailable", "too-many-connections"}


@dataclass(frozen=True)
class Attempt:
    """What one request came to. counted: some of it, the results say which. unsure: it may have counted, or not.

    again: the same request may do later.
    """

    results: list[dict[str, Any]] = field(default_factory=list)
    counted: bool = False
    unsure: bool = False
    again: bool = False


class HttpClient:
    """For one thread. Every fourth request that was answered is sent once more, to get the same answer."""

    def __init__(self, life: Life, name: str, pen: Pen) -> None:
        self._life = life
        self._name = name
        self._pen = pen
        self._numbers = count(1)
        self._client = httpx.Client(base_url=life.api, timeout=TIMEOUT)

    def post(self, deltas: Mapping[str, int]) -> None:
        """Like, and note what became of it."""
        number, key = self._pen.sends(deltas), f"{self._name}-{next(self._numbers)}"
        results, unsure = self._ask(key, deltas)
        accepted = {result["item"]: result["delta"] for result in results if "delta" in result}
        doubtful = {result["item"] for result in results if result.get("type") == "outcome-unknown"}
        others = deltas.keys() - accepted.keys()
        self._pen.ends(
            number,
            accepted=accepted,
            unknown={item: deltas[item] for item in others if unsure or item in doubtful},
        )
        if self._life.repeats and not others and number % 4 == 0:
            self._repeat(key, deltas)

    def read(self, items: Sequence[str]) -> None:
        """Read live totals."""
        began = time.time()
        try:
            answer = self._client.get("/v1/items", params={"item": list(items)})
        except httpx.TransportError as error:
            self._pen.tried(repr(error))
            return
        if answer.status_code != 200:
            self._pen.tried(answer.text)
            return
        self._pen.reads(began, {each["item"]: each["total"] for each in answer.json()["items"] if each["exact"]})

    def _ask(self, key: str, deltas: Mapping[str, int]) -> tuple[list[dict[str, Any]], bool]:
        """A result for each item, if there are any; and whether others may have counted all the same."""
        unsure, until = False, time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            attempt = self._attempt(key, deltas)
            if attempt.counted:
                return attempt.results, unsure
            unsure = unsure or attempt.unsure
            if not attempt.again or (unsure and not self._life.repeats):
                return attempt.results, unsure
            time.sleep(AGAIN_SECONDS)
        return [], unsure

    def _attempt(self, key: str, deltas: Mapping[str, int]) -> Attempt:
        try:
            answer = self._send(key, deltas)
        except httpx.ConnectError:  # nothing was sent
            return Attempt(again=True)
        except httpx.TransportError:
            return Attempt(unsure=True, again=True)
        if answer.status_code == 202:
            return Attempt(_results(answer), counted=True)
        said = answer.json()
        if answer.status_code != 503:
            self._pen.is_wrong(f"{answer.status_code} {said}")
        unsure = said["type"] not in NOT_COUNTED
        return Attempt(said.get("results", []), unsure=unsure, again="Retry-After" in answer.headers)

    def _send(self, key: str, deltas: Mapping[str, int]) -> httpx.Response:
        headers = {"Idempotency-Key": f'"{key}"'}
        if len(deltas) == 1:
            ((item, delta),) = deltas.items()
            path = f"/v1/items/{quote(item, safe='')}/likes"
            return self._client.post(path, json={"count": delta}, headers=headers)
        likes = [{"item": item, "count": delta} for item, delta in deltas.items()]
        return self._client.post("/v1/likes", json={"likes": likes}, headers=headers)

    def _repeat(self, key: str, deltas: Mapping[str, int]) -> None:
        """What was answered is answered the same."""
        try:
            answer = self._send(key, deltas)
        except httpx.TransportError:
            return
        if answer.status_code == 202:
            again = {result["item"]: result["delta"] for result in _results(answer)}
            if again != dict(deltas):
                self._pen.is_wrong(f"{dict(deltas)} sent again was answered with {again}")
        elif answer.status_code != 503:
            self._pen.is_wrong(f"what was answered with 202 is then {answer.status_code}: {answer.text}")


def _results(answer: httpx.Response) -> list[dict[str, Any]]:
    said = answer.json()
    return list(said.get("results", [said]))
