-- Note what clients have used of their rate, and tell how far ahead of it each is.
-- KEYS  1… what is kept of each client
-- ARGV  1… by how much each gets ahead: its requests, times the time one is worth (µs)
-- reply {how far ahead each is now (µs), …}
-- The generic cell rate algorithm: all that is kept of a client is when it will be even with its rate again, until then.
-- Atomic, because several processes add to it.
local time, ahead = redis.call('TIME'), {}
local now = time[1] * 1000000 + time[2]
for i, key in ipairs(KEYS) do
  local even = math.max(tonumber(redis.call('GET', key) or now) or now, now) + ARGV[i]
  ahead[i] = even - now
  if ahead[i] > 0 then
    redis.call('SET', key, string.format('%.0f', even), 'PX', string.format('%.0f', math.ceil(ahead[i] / 1000)))
  end
end
return ahead
