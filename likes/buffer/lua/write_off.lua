-- Count as sealed what an incident has written off, so that accepted - sealed is what is pending again.
-- KEYS  1 state
-- ARGV  1 what was written off until now ("0": nothing), 2 what was in all, 3 the second less the first
-- reply 1 if it was done, 0 if more was written off meanwhile
-- Atomic, because two workers may be told by the same incident, and it counts once.
redis.call('HDEL', KEYS[1], '')  -- comes first: after a write that frees memory a full Redis lets the others through
if (redis.call('HGET', KEYS[1], 'written_off') or '0') ~= ARGV[1] then return 0 end
redis.call('HINCRBY', KEYS[1], 'sealed', ARGV[3])
redis.call('HSET', KEYS[1], 'written_off', ARGV[2])
return 1
