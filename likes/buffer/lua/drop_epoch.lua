-- Forget an epoch that was left behind, once nothing is pending or in flight under it.
-- KEYS  1 epoch pointer, 2 epochs, 3 state, 4 pending, 5 in_flight, 6 producers
-- ARGV  1 epoch
-- reply 1 if it was dropped, else 0
-- Atomic, because the pointer may have come back to it.
if redis.call('GET', KEYS[1]) == ARGV[1] then return 0 end
if redis.call('LLEN', KEYS[4]) > 0 or redis.call('LLEN', KEYS[5]) > 0 then return 0 end
redis.call('SREM', KEYS[2], '')  -- changes nothing: is it permitted?
redis.call('DEL', KEYS[3], KEYS[4], KEYS[5], KEYS[6])
redis.call('SREM', KEYS[2], ARGV[1])
return 1
