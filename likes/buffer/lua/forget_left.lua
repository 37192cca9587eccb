-- Forget one of the epochs left by a change of the number of shards, the buckets of which are deleted.
-- KEYS  1 left, 2 owner
-- ARGV  1 its entry, 2 database
-- reply 1 if it was there
-- Atomic, because another one may be noted meanwhile.
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
local kept, found = {}, 0
for entry in string.gmatch(redis.call('GET', KEYS[1]) or '', '[^\n]+') do
  if entry == ARGV[1] then found = 1 else kept[#kept + 1] = entry end
end
if found == 0 then return 0 end
if #kept == 0 then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], table.concat(kept, '\n')) end
return 1
