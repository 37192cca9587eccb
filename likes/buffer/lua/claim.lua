-- Let a shard belong to a database, if it still belongs to whom it was seen to.
-- KEYS  1 owner, 2 epochs
-- ARGV  1 the database it was seen to belong to ("" for none), 2 the database it is to belong to
-- reply the database it belongs to now
-- Atomic, because two databases that claim at once must both learn of one.
local owner = redis.call('GET', KEYS[1]) or ''
if owner ~= ARGV[1] or owner == ARGV[2] then return owner end
redis.pcall('SREM', KEYS[2], '')  -- comes first: after a write that frees memory a full Redis lets the SET through
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]
