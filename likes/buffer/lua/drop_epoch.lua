-- Forget an epoch that was left behind, once nothing is pending or in flight under it.
-- KEYS  1 epoch pointer, 2 epochs, 3 owner, 4 pending, 5 in_flight, 6 state, 7 nonces, 8 producers, 9 once
-- ARGV  1 epoch, 2 database
-- reply 1 if it was dropped, else 0
-- Atomic, because the pointer may have come back to it.
if redis.call('GET', KEYS[3]) ~= ARGV[2] or redis.call('GET', KEYS[1]) == ARGV[1] then return 0 end
if redis.call('LLEN', KEYS[4]) > 0 or redis.call('LLEN', KEYS[5]) > 0 then return 0 end
redis.call('SREM', KEYS[2], '')  -- changes nothing: is it permitted?
redis.call('DEL', unpack(KEYS, 4))
redis.call('SREM', KEYS[2], ARGV[1])
return 1
