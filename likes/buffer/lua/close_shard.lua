-- Let a shard accept no likes while the number of shards is being changed.
-- KEYS  1 owner, 2 resharding, 3 epochs
-- ARGV  1 database, 2 to how many shards it is being changed
-- reply 1 if it is closed for that now, 0 if it belongs to another database: nothing was done
-- Atomic, because the database may be another one by the time that the mark is set.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.pcall('SREM', KEYS[3], '')  -- comes first: after a write that frees memory a full Redis lets the SET through
redis.call('SET', KEYS[2], ARGV[2])
return 1
