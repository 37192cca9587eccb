"""Which files are mutated, and which tests have to notice: the cheapest come first, as the first failure ends a run."""

from __future__ import annotations

from collections.abc import Sequence

from tests.mutants.target import Target

BUFFER = "tests/conformance/test_buffer.py"
ALL_OR_NOTHING = "tests/attack/test_all_or_nothing.py"
CHECK_RIGHTS = "tests/integration/test_check_rights.py"
HANDED_IN = "tests/conformance/test_handed_in_redis.py"
LINK = "tests/conformance/test_link.py"
CURSORS = "tests/conformance/test_cursors.py"
LEDGER = "tests/conformance/test_ledger.py"
TOGETHER = "tests/conformance/test_ledger_together.py"
RULES = "tests/conformance/test_rules.py"
SEVERAL_SHARDS = "tests/conformance/test_several_shards.py"
CHANGING_SERVERS = "tests/conformance/test_servers_that_change.py"
TWO_WORKERS = "tests/conformance/test_two_workers.py"
DAMAGED = "tests/attack/test_damaged_keys.py"
MISSING = "tests/attack/test_missing_likes.py"
RESHARDING = "tests/conformance/test_resharding.py"
RESENDS = "tests/conformance/test_resends.py"
STRANGERS = "tests/conformance/test_strangers.py"
LIVE_TOTALS = "tests/conformance/test_live_totals.py"
CACHE = "tests/conformance/test_cache.py"
CACHE_RIGHTS = "tests/conformance/test_cache_rights.py"
CACHE_TIMES = "tests/conformance/test_cache_times.py"
CACHING = "tests/unit/test_caching.py"
TOGETHER_READ = "tests/conformance/test_reading_together.py"
OUTAGE = "tests/integration/test_reading_in_an_outage.py"
HEARTBEAT = "tests/conformance/test_heartbeat.py"
HOUSEKEEPING = "tests/integration/test_housekeeping.py"
AUDIT = "tests/integration/test_audit.py"
COUNTING = "tests/fundamentals/test_counting.py"
DECISIONS = "tests/property/test_decisions.py"
EVERY_CALL = "tests/crash/test_every_call.py"
EXACTLY_ONCE = "tests/property/test_exactly_once.py"
ADDER = "tests/unit/test_adder.py"
FORKS = "tests/conformance/test_forks.py"
IDLE = "tests/conformance/test_idle_connections.py"
LOOPS = "tests/conformance/test_event_loops.py"
TIME = "tests/conformance/test_time.py"
EXCHANGE = "tests/unit/test_exchange.py"
READING = "tests/unit/test_reading.py"
REFUSALS = "tests/unit/test_refusals.py"
DELIVERY = "tests/unit/test_delivery.py"
CLUSTER_LINK = "tests/cluster/test_link.py"
CLUSTER_ANSWERS = "tests/cluster/test_answers.py"
MOVING = "tests/cluster/test_moving.py"
WEIGHING = "tests/conformance/test_weighing.py"
TURN = "tests/unit/test_turn.py"
WINDOW = "tests/unit/test_window.py"
EXPOSURE = "tests/property/test_exposure.py"
EXPOSED = "tests/attack/test_windows.py"
FORGETFUL = "tests/attack/test_forgetful_redis.py"
ONCE = "tests/conformance/test_once.py"
ONCE_DIES = "tests/crash/test_once.py"
ONCE_HTTP = "tests/api/test_once.py"
ALLOWANCES = "tests/unit/test_allowances.py"
LIMITS = "tests/api/test_limits.py"
SESSIONS = "tests/conformance/test_sessions.py"
SESSION_PROMISES = "tests/fundamentals/test_sessions.py"
SESSION_SCRIPTS = "tests/attack/test_session_scripts.py"
SESSIONS_DIE = "tests/crash/test_sessions_every_call.py"
SESSION_SETTINGS = "tests/conformance/test_session_settings.py"
SWEEP = "tests/integration/test_sweep.py"

TARGETS: Sequence[Target] = (
    Target("likes/buffer/lua/add.lua", (BUFFER, RESENDS, ALL_OR_NOTHING)),
    Target("likes/buffer/lua/hand_off.lua", (BUFFER, RULES, ALL_OR_NOTHING)),
    Target("likes/buffer/lua/acknowledge.lua", (BUFFER, LIVE_TOTALS, CACHE, CACHE_RIGHTS, ALL_OR_NOTHING)),
    Target("likes/buffer/lua/begin_epoch.lua", (BUFFER,)),
    Target("likes/buffer/lua/confirm.lua", (BUFFER,)),
    Target("likes/buffer/lua/drop_epoch.lua", (BUFFER,)),
    Target("likes/buffer/lua/lease.lua", (BUFFER,)),
    Target("likes/buffer/lua/beat.lua", (HEARTBEAT,)),
    Target("likes/buffer/lua/look.lua", (BUFFER, LIVE_TOTALS, CACHE, CACHE_TIMES, CACHE_RIGHTS)),
    Target("likes/buffer/lua/raise_generation.lua", (BUFFER, CACHE, ALL_OR_NOTHING)),
    Target("likes/buffer/lua/prune_producers.lua", (BUFFER, HOUSEKEEPING)),
    Target("likes/buffer/lua/rights.lua", (CHECK_RIGHTS,)),
    Target("likes/buffer/lua/repair.lua", (BUFFER, AUDIT)),
    Target("likes/buffer/lua/tally.lua", (BUFFER, MISSING)),
    Target("likes/buffer/lua/write_off.lua", (BUFFER, MISSING)),
    Target("likes/buffer/lua/add_once.lua", (ONCE, ALL_OR_NOTHING)),
    Target("likes/buffer/lua/turn_once.lua", (ONCE, ALL_OR_NOTHING)),
    Target("likes/buffer/lua/close_shard.lua", (RESHARDING,)),
    Target("likes/buffer/lua/open_shard.lua", (RESHARDING,)),
    Target("likes/buffer/lua/repoint.lua", (RESHARDING,)),
    Target("likes/buffer/lua/forget_left.lua", (RESHARDING,)),
    Target("likes/buffer/lua/gcra.lua", (LIMITS, ALL_OR_NOTHING)),
    Target("likes/sessions/lua/*.lua", (SESSIONS, SESSION_PROMISES, SESSION_SCRIPTS, SESSIONS_DIE, SWEEP)),
    Target("likes/buffer/damage.py", (DAMAGED,)),
    Target("likes/buffer/tally.py", (WEIGHING, MISSING)),
    Target("worker/missing.py", (MISSING,)),
    Target("likes/buffer/producers.py", (HOUSEKEEPING,)),
    Target("likes/buffer/servers.py", (EXPOSED, CHANGING_SERVERS)),
    Target("likes/buffer/turn.py", (TURN, SEVERAL_SHARDS, TWO_WORKERS, RULES)),
    Target("likes/buffer/buffer.py", (RULES, SEVERAL_SHARDS, TWO_WORKERS)),
    Target(
        "likes/buffer/links/*.py",
        (
            *(EXCHANGE, WINDOW, REFUSALS, DELIVERY, LINK, CLUSTER_LINK, HANDED_IN, BUFFER, RESENDS, IDLE, TIME, LOOPS),
            *(CLUSTER_ANSWERS, MOVING),
        ),
    ),
    Target("likes/deadline.py", (TIME, LINK)),
    Target("likes/per_*.py", (LOOPS, FORKS)),
    Target("likes/opened*.py", (TIME, FORKS, LOOPS)),
    Target("likes/chain.py", (TOGETHER, LEDGER, SEVERAL_SHARDS)),
    Target("likes/sql/chains.py", (TOGETHER, LEDGER, SEVERAL_SHARDS)),
    Target("likes/sql/covering.py", (CURSORS, RULES)),
    Target("likes/sql/cursors.py", (CURSORS, RULES)),
    Target("likes/sql/epochs.py", (CURSORS, RULES)),
    Target("likes/sql/known_redis.py", (CURSORS, RULES)),
    Target("likes/sql/exposure.py", (EXPOSURE,)),
    Target("likes/sql/moves.py", (TOGETHER, LEDGER)),
    Target("likes/sql/ledger.py", (TOGETHER, LEDGER, RULES, SEVERAL_SHARDS, CHANGING_SERVERS)),
    Target("likes/sql/rows.py", (LEDGER, TOGETHER, RULES)),
    Target("likes/sql/locked_shard.py", (LEDGER, RULES, STRANGERS, FORGETFUL)),
    Target("likes/posting/adder.py", (ADDER, COUNTING, RESENDS)),
    Target("likes/posting/part.py", (ADDER, COUNTING, RESENDS)),
    Target("likes/posting/producer.py", (ADDER, COUNTING, RESENDS, FORKS)),
    Target("likes/posting/answers.py", (LOOPS, TIME, RESENDS)),
    Target("likes/posting/loop_turn.py", (LOOPS, TIME, RESENDS, MOVING)),
    Target("likes/live/looks.py", (READING, COUNTING, LIVE_TOTALS, CACHE, OUTAGE)),
    Target("likes/posting/once*.py", (ONCE, ONCE_DIES, ONCE_HTTP)),
    Target("likes/posting/batch_once.py", (ONCE, ONCE_DIES, ONCE_HTTP)),
    Target("likes/limiting/*.py", (ALLOWANCES, LIMITS)),
    Target("likes/sessions/*.py", (SESSIONS, SESSION_PROMISES, SESSIONS_DIE, SESSION_SETTINGS, SWEEP)),
    Target("likes/live/in_flight.py", (READING, COUNTING, LIVE_TOTALS, CACHE)),
    Target("likes/live/total.py", (READING, LIVE_TOTALS, CACHE, OUTAGE)),
    Target("likes/live/reading.py", (READING, COUNTING, LIVE_TOTALS, CACHE, OUTAGE)),
    Target("likes/live/read.py", (READING, TOGETHER_READ, OUTAGE)),
    Target("likes/live/loop_reads.py", (TOGETHER_READ, LOOPS)),
    Target("likes/live/caching.py", (CACHING, CACHE_TIMES)),
    Target("worker/decisions.py", (DECISIONS, RULES, EXACTLY_ONCE, TWO_WORKERS)),
    Target("worker/beginning.py", (EXPOSED, CURSORS)),
    Target("worker/lost_memory.py", (CHANGING_SERVERS, MOVING)),
    Target("worker/arrivals.py", (MOVING,)),
    Target("worker/recovery.py", (RULES, CHANGING_SERVERS, STRANGERS, FORGETFUL, EXACTLY_ONCE)),
    Target("worker/flush.py", (SEVERAL_SHARDS, RULES, COUNTING, EVERY_CALL, MOVING)),
    Target("worker/shard_flush.py", (RULES, SEVERAL_SHARDS, TWO_WORKERS, STRANGERS)),
)
