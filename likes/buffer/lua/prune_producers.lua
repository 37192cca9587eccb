-- Forget producers that have been silent for long.
-- KEYS  1 producers, 2 owner
-- ARGV  1 database, 2 producer, 3 what was remembered of it at two looks long apart, 4 another producer, …
-- reply how many were forgotten: none if the shard belongs to another database
-- Atomic, because a producer may speak up between being found and being forgotten.
local forgotten = 0
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
for i = 2, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    forgotten = forgotten + redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return forgotten
