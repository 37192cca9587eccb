"""Every figure: its name, what it means, and its labels, whose values come from small closed sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple


class Family(NamedTuple):
    """A figure. bounds: the upper ends of a histogram's buckets, in seconds, without the last, which has none."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    about: str
    labels: Sequence[str] = ()
    bounds: Sequence[float] = ()


REQUEST_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
FLUSH_BOUNDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

OF_THE_API = (
    Family(
        "likes_http_request_duration_seconds",
        "histogram",
        "Time from a request to the end of its answer.",
        ("route", "method", "status"),
        REQUEST_BOUNDS,
    ),
    Family("likes_http_requests_in_flight", "gauge", "Requests being answered now, event streams among them."),
    Family("likes_http_event_streams", "gauge", "Event streams that are open."),
    Family("likes_accepted_total", "counter", "Entries that Redis accepted: likes and unlikes, whatever their count."),
    Family("likes_refused_total", "counter", "Entries that were not counted, by the type of the problem.", ("reason",)),
    Family("likes_cache_hits_total", "counter", "Totals answered from the cache."),
    Family("likes_cache_misses_total", "counter", "Totals that were not in the cache."),
    Family("likes_cache_early_refreshes_total", "counter", "Cached totals read anew before they ended."),
    Family("likes_cache_waits_total", "counter", "Reads that waited while another process filled the cache."),
    Family("likes_sessions_created_total", "counter", "Sessions begun."),
    Family("likes_sessions_ended_total", "counter", "Sessions ended by a request."),
)

OF_A_WORKER = (
    Family("likes_flush_duration_seconds", "histogram", "How long a flush took, also a failed one.", (), FLUSH_BOUNDS),
    Family("likes_flush_failures_total", "counter", "Flushes that failed, by what kept them.", ("reason",)),
    Family("likes_flushed_items_total", "counter", "Entries moved into SQL."),
    Family("likes_flushed_batches_total", "counter", "Batches moved into SQL."),
    Family("likes_notices_total", "counter", "Calls of the notify command or URL.", ("result",)),
)

SHARED = (
    Family("likes_up", "gauge", "1 if the server answered when it was asked for these figures.", ("server",)),
    Family("likes_pending_items", "gauge", "Items with likes in Redis that were not handed off yet."),
    Family("likes_oldest_pending_age_seconds", "gauge", "How long the oldest pending like waits; 0: none does."),
    Family("likes_in_flight_batches", "gauge", "Batches handed off and not acknowledged."),
    Family("likes_workers", "gauge", "Workers heard of in the last two minutes."),
    Family("likes_problems", "gauge", "Keys that hold what nobody of ours put there, as likes status lists them."),
    Family("likes_last_flush_success_timestamp_seconds", "gauge", "When a flush was last done; 0: never."),
    Family("likes_flush_interval_seconds", "gauge", "Time between scheduled flushes, as set for this process."),
    Family("likes_dead_letters", "gauge", "Dead letters that wait for somebody to decide."),
    Family("likes_incidents_open", "gauge", "Incidents that nobody has seen to."),
    Family("likes_incidents_total", "counter", "Incidents recorded so far.", ("kind",)),
    Family("likes_redis_memory_used_bytes", "gauge", "Memory that Redis uses."),
    Family("likes_redis_memory_max_bytes", "gauge", "Memory that Redis may use; 0: no limit."),
    Family("likes_redis_evicted_keys_total", "counter", "Keys that Redis has evicted since it was started."),
)

OF_A_PROCESS = (Family("likes_build_info", "gauge", "1, with the version that runs.", ("version",)),)

FAMILIES: Mapping[str, Family] = {family.name: family for family in (*OF_THE_API, *OF_A_WORKER, *SHARED, *OF_A_PROCESS)}
