-- Take, keep or give back the right to flush a shard.
-- KEYS  1 lease
-- ARGV  1 token of the worker, 2 milliseconds ("0" gives it back)
-- reply 1 if the worker holds it now (or gave it back), 0 if another does
-- Atomic, because a lease that ran out may be another's by now. One that would never run out is no lease of ours.
local holder = redis.pcall('GET', KEYS[1])  -- of another type: free, and taken over
if type(holder) == 'string' and holder ~= ARGV[1] and redis.call('PTTL', KEYS[1]) >= 0 then return 0 end
redis.call('DEL', KEYS[1])  -- comes first: after a write that frees memory a full Redis lets the SET through
if ARGV[2] ~= '0' then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return 1
