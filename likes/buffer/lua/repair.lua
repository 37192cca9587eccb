-- Push members whose delta is there but whose pending entry is missing.
-- KEYS  1 state, 2 pending, 3… delta keys
-- ARGV  1 now (ms since 1970)
-- reply how many were pushed
-- Atomic with the look at the delta, because a hand-off may just have taken it. One pushed twice does no harm: its second
-- GETDEL finds nothing.
local first, found = #KEYS[2], {}
for i = 3, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 then found[#found + 1] = string.sub(KEYS[i], first) end
end
if #found > 0 then
  redis.call('HDEL', KEYS[1], '')  -- changes nothing; after a write a full Redis lets the others through
  redis.call('HSETNX', KEYS[1], 'pending_since', ARGV[1])  -- first: without entries it means nothing
  redis.call('RPUSH', KEYS[2], unpack(found))
end
return #found
