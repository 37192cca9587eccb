-- Forget producers that have been silent for long.
-- KEYS  1 producers
-- ARGV  a producer and its record as it was seen twice, …
-- reply how many were forgotten
-- Atomic, because a producer may speak up between being found and being forgotten.
local forgotten = 0
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    forgotten = forgotten + redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return forgotten
