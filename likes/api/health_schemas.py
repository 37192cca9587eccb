"""What load balancers are told, as JSON Schema, for the document."""

from __future__ import annotations

from likes.api.openapi import Schema, answer

HEALTH: dict[str, Schema] = {
    "Alive": answer(status={"const": "alive"}),
    "Ready": {
        **answer(
            status={"enum": ["ready", "degraded"], "type": "string"},
            redis={"enum": ["ok", "resharding"], "type": "string"},
            database={"enum": ["ok", "full", "other", "refused", "unavailable"], "type": "string"},
        ),
        "description": "degraded: the database does not answer, so reads may not; what is liked waits in Redis. Or "
        "Redis belongs to another one, where what is liked goes; `likes check` names both, and says what to do. Or the "
        "number of shards is being changed (`likes reshard`): totals are read, and likes wait or are refused",
    },
}
