-- Push members whose delta is there but whose pending entry is missing.
-- KEYS  1 state, 2 pending, 3… delta keys
-- ARGV  1 now (ms since 1970)
-- reply how many were pushed
-- Atomic with the look at the delta, because a hand-off may just have taken it. One pushed twice does no harm: its second
-- GETDEL finds nothing.
local first, pushed = #KEYS[2], 0
for i = 3, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 then
    redis.call('RPUSH', KEYS[2], string.sub(KEYS[i], first))
    pushed = pushed + 1
  end
end
if pushed > 0 then redis.call('HSETNX', KEYS[1], 'pending_since', ARGV[1]) end
return pushed
