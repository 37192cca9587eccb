"""What somebody is told of incidents and dead letters: JSON with what happened and what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from likes.moments import iso
from likes.sql.letters import Letter, LetterBatch
from likes.sql.meanings import meaning_of
from likes.sql.reports import Incident

NAMED = 20  # incidents or entries that a notice names one by one


class Notice(NamedTuple):
    """names: what it is about, each to be told once."""

    names: Sequence[str]
    kind: str
    what: str
    what_to_do: str
    number: int
    details: Mapping[str, Sequence[Mapping[str, object]]]

    def body(self, namespace: str, worker: str) -> bytes:
        """As JSON of ASCII. `text` is all of it in words, as chats take it."""
        said = {
            "kind": self.kind,
            "what": self.what,
            "what_to_do": self.what_to_do,
            "text": f"{namespace}: {self.kind}: {self.what}. What to do: {self.what_to_do}",
            "namespace": namespace,
            "worker": worker,
            "at": iso(datetime.now(UTC)),
            "count": self.number,
            **self.details,
        }
        return json.dumps(said, default=_plain).encode()


def of_incidents(kind: str, incidents: Mapping[str, Incident]) -> Notice:
    """Of incidents of one kind, by their names: one event may be an incident in each shard."""
    meaning, advice = meaning_of(kind)
    shards = {incident.shard for incident in incidents.values()} - {None}
    where = f" in {len(shards)} shards" if len(shards) > 1 else "".join(f" in shard {shard}" for shard in shards)
    named = [incident._asdict() for incident in incidents.values()][:NAMED]
    return Notice([*incidents], kind, f"{meaning}{where}", advice, len(incidents), {"incidents": named})


def of_dead_letters(batches: Mapping[str, LetterBatch], first: Sequence[Letter]) -> Notice:
    """Of entries set aside, by the names of their batches. first: the first of some of these batches."""
    number = sum(batch.entries for batch in batches.values())
    what = f"{number:,} {'entry' if number == 1 else 'entries'} could not be counted"
    fields = ("id", "shard", "epoch", "seq", "counter", "item", "delta", "reason")
    named = [{field: getattr(letter, field) for field in fields} for letter in first]
    advice = "decide about them: likes dead-letters"
    return Notice([*batches], "dead_letters", what, advice, number, {"dead_letters": named})


def name_of_incident(incident: Incident) -> str:
    """The same for every worker, and of no other incident, also after the database was put back."""
    return f"incident:{incident.id}:{incident.at.timestamp() * 1000:.0f}"


def name_of_batch(batch: LetterBatch) -> str:
    """The same for every worker, and of no other batch."""
    return f"letters:{batch.shard}:{batch.epoch}:{batch.seq}"


def _plain(value: object) -> str:
    return iso(value) if isinstance(value, datetime) else str(value)
