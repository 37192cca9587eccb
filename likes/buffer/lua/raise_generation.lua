-- Let no total that was cached before be used any more, as SQL's totals changed otherwise than by a batch.
-- KEYS  1 epoch pointer, 2 owner, 3 state
-- ARGV  1 epoch, 2 database, 3 generation
-- reply 1 if it is the generation now or was raised beyond; 0 if another epoch is current, or another database's worker
-- Atomic, because it is never lowered.
if redis.call('GET', KEYS[1]) ~= ARGV[1] or redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[3], '')  -- the first write: a full Redis lets the next one through then
local now = redis.call('HGET', KEYS[3], 'generation')
if tonumber(now or '0') < tonumber(ARGV[3]) then redis.call('HSET', KEYS[3], 'generation', ARGV[3]) end
return 1
