-- Let a shard accept likes again.
-- KEYS  1 owner, 2 resharding, 3 epoch pointer, 4 epochs
-- ARGV  1 database, 2 to how many shards the number was being changed, 3 epoch, "" for none
-- reply 1 if it is open now, 0 if it is not as it was read: nothing was done
-- Atomic, because it may have been closed for another change meanwhile, or point elsewhere.
if redis.call('GET', KEYS[1]) ~= ARGV[1] or (redis.call('GET', KEYS[3]) or '') ~= ARGV[3] then return 0 end
local mark = redis.call('GET', KEYS[2])
if mark and mark ~= '' and mark ~= ARGV[2] then return 0 end
redis.pcall('SREM', KEYS[4], '')  -- comes first: after a write that frees memory a full Redis lets the SET through
redis.call('SET', KEYS[2], '')
return 1
