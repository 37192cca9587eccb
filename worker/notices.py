"""Incidents and dead letters that somebody is to be told of: each once, whichever worker does, and flushes never wait.

What is open and not older than a day is looked for after each flush, so nothing is forgotten by a worker that dies in
between. Redis keeps what was told (`likes.buffer.notices`); what could not be told is tried again after five minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from threading import Thread

from likes.buffer.buffer import Buffer
from likes.buffer.notices import claim, note_told
from likes.sql.ledger import Ledger
from likes.sql.letters import first_letters, open_batches_since
from likes.sql.reports import Incident, open_incidents_since
from worker import events
from worker.figures import Figures
from worker.notice import NAMED, Notice, name_of_batch, name_of_incident, of_dead_letters, of_incidents
from worker.telling import Listener, NotTold

LOOK_BACK = timedelta(days=1)
MOST = 1000  # incidents, and batches, at a time
LAST_SECONDS = 5.0  # how long the end of a worker waits for what is being told


class Notices:
    """Tells `listeners`. For the thread of the loop."""

    def __init__(self, buffer: Buffer, ledger: Ledger, listeners: Sequence[Listener], figures: Figures) -> None:
        self._buffer = buffer
        self._ledger = ledger
        self._listeners = listeners
        self._figures = figures
        self._told: set[str] = set()
        self._telling = Thread()

    def look(self) -> None:
        """Tell what is to be told, from a thread. Raises nothing: that must not keep likes from being flushed."""
        if not self._listeners or self._telling.is_alive():
            return
        try:
            if notices := list(self._claimed()):
                self._telling = Thread(target=self._tell, args=(notices,), name="likes-notices", daemon=True)
                self._telling.start()
        except Exception as error:  # noqa: BLE001 (tried again after the next flush)
            events.not_told("anybody", "what is to be told", error)

    def finish(self) -> None:
        """Wait a little for what is being told."""
        if self._telling.is_alive():
            self._telling.join(LAST_SECONDS)

    def _claimed(self) -> Iterator[tuple[Listener, Notice]]:
        engine, namespace, since = self._ledger.engine, self._ledger.namespace, datetime.now(UTC) - LOOK_BACK
        incidents = {name_of_incident(each): each for each in open_incidents_since(engine, namespace, since, MOST)}
        batches = {name_of_batch(each): each for each in open_batches_since(engine, namespace, since, MOST)}
        names = {f"{listener.name}:{name}" for listener in self._listeners for name in (*incidents, *batches)}
        self._told &= names
        if not (left := sorted(names - self._told)):
            return
        claimed = claim(self._buffer, left)
        self._told.update(claimed.told)
        for listener in self._listeners:
            mine = {name.removeprefix(f"{listener.name}:") for name in claimed.mine if name.startswith(listener.name)}
            for kind, of_kind in _by_kind({name: each for name, each in incidents.items() if name in mine}).items():
                yield listener, of_incidents(kind, of_kind)
            if letters := {name: each for name, each in batches.items() if name in mine}:
                first = [batch.first for batch in letters.values()][:NAMED]
                yield listener, of_dead_letters(letters, first_letters(engine, namespace, first))

    def _tell(self, notices: Sequence[tuple[Listener, Notice]]) -> None:
        for listener, notice in notices:
            try:
                listener.tell(notice.body(self._ledger.namespace, self._ledger.worker))
            except NotTold as error:
                self._figures.told("failed")
                events.not_told(listener.where, notice.kind, error)
                continue
            self._figures.told("told")
            events.told(listener.where, notice.kind, notice.number)
            names = [f"{listener.name}:{name}" for name in notice.names]
            self._told.update(names)
            note_told(self._buffer, names)


def _by_kind(incidents: Mapping[str, Incident]) -> dict[str, dict[str, Incident]]:
    kinds: dict[str, dict[str, Incident]] = {}
    for name, incident in incidents.items():
        kinds.setdefault(incident.kind, {})[name] = incident
    return kinds
