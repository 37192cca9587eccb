-- Begin a sweep of a shard: which of its sessions are due?
-- KEYS  1 due, 2 sweeps, 3 owner
-- ARGV  4 database, 5 how many of them at most
-- reply {now, number of this sweep, [hash and user, …]}, the longest due first; nothing if it is another database's
-- Atomic, because a Redis that went back is told by the number of the sweep, which an end after it must follow.
if redis.call('GET', KEYS[3]) ~= ARGV[4] then return false end
local due = redis.call('ZRANGE', KEYS[1], '-inf', text(now), 'BYSCORE', 'LIMIT', 0, ARGV[5])
redis.call('ZREM', KEYS[1], '')  -- comes first: after a write that frees memory a full Redis lets the other through
return {text(now), redis.call('INCRBY', KEYS[2], 1), due}
