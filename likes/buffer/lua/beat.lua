-- Keep what a worker says of itself, and forget those that have been silent for long.
-- KEYS  1 workers of all shards: worker -> msgpack [milliseconds since 1970, what it said]
-- ARGV  1 worker, 2 what it says ("" when it ends), 3 milliseconds since 1970 by its own clock, 4 milliseconds to forget
--       the silent after
-- reply nothing
-- Atomic, so that the moment is that of the server all workers share. It only serves to be shown.
redis.call('HDEL', KEYS[1], ARGV[1])  -- comes first: after a write that frees memory a full Redis lets the others through
local time, now = redis.pcall('TIME'), tonumber(ARGV[3])
if not time.err then now = time[1] * 1000 + math.floor(time[2] / 1000) end

local known = redis.call('HSCAN', KEYS[1], 0)[2]  -- as a right it is there for producers; few workers come all at once
for i = 1, #known, 2 do
  local readable, record = pcall(cmsgpack.unpack, known[i + 1])
  if not readable or type(record) ~= 'table' or (tonumber(record[1]) or 0) < now - ARGV[4] then
    redis.call('HDEL', KEYS[1], known[i])
  end
end
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack({now, ARGV[2]}))
end
