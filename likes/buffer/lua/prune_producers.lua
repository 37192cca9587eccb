-- Forget producers that have been silent for long.
-- KEYS  1 producers
-- ARGV  1 age in milliseconds, 2… producers
-- reply how many were forgotten
-- Atomic, because a producer may speak up between being found and being forgotten.
local time, forgotten = redis.call('TIME'), 0
local oldest = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[1]
for i = 2, #ARGV do
  local known = redis.call('HGET', KEYS[1], ARGV[i])
  if known then
    local _, at = cmsgpack.unpack(known)
    if at < oldest then forgotten = forgotten + redis.call('HDEL', KEYS[1], ARGV[i]) end
  end
end
return forgotten
