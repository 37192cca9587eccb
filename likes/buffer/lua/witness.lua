-- Bear witness that batches are in flight here, by a write behind which replicas and the disk can be waited for.
-- KEYS  1 epoch pointer, 2 state, 3 in_flight
-- ARGV  1 nonce of this witness, 2 the epoch that must be pointed at, "" where any may be, 3… seq:nonce of the batches
-- reply 1 if all of them are in flight, 0 if not: nothing was written
-- Atomic, because the write must lie in the very history that has the batches: whoever has it has them, too. After a
-- failover, say, WAIT alone would be answered for a server that has never heard of them.
if ARGV[2] ~= '' and redis.call('GET', KEYS[1]) ~= ARGV[2] then return 0 end
local in_flight = {}
for _, id in ipairs(redis.call('LRANGE', KEYS[3], 0, -1)) do in_flight[id] = true end
for i = 3, #ARGV do
  if not in_flight[ARGV[i]] then return 0 end
end
redis.call('HDEL', KEYS[2], '')  -- comes first: after a write a full Redis lets the others through
redis.call('HSET', KEYS[2], 'witness', ARGV[1])  -- what changes nothing is not replicated, and WAIT answers at once
return 1
