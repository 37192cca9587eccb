-- Read what a live total needs from Redis, at one moment.
-- KEYS  1 epoch pointer, 2 state, 3 pending, 4 in_flight, 5… delta keys
-- ARGV  1 epoch, 2… the fields of state that are wanted
-- reply {current epoch or ""} when that is another one
--       {epoch, {field, …}, entries of pending, {seq:nonce, …} in flight, {pending delta as text or nil, …}}
-- Atomic, because a delta moves from pending to in flight and must be seen in exactly one of them.
local current = redis.call('GET', KEYS[1]) or ''
if current ~= ARGV[1] then return {current} end
return {
  current,
  redis.call('HMGET', KEYS[2], unpack(ARGV, 2)),
  redis.call('LLEN', KEYS[3]),
  redis.call('LRANGE', KEYS[4], 0, -1),
  redis.call('MGET', unpack(KEYS, 5)),
}
