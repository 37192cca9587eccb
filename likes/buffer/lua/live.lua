-- Read what a live total needs of Redis, at one moment.
-- KEYS  1 epoch pointer, 2 state, 3 in_flight, 4… delta keys
-- ARGV  1 epoch
-- reply {current epoch or ""} when that is another one
--       {epoch, batches acknowledged so far, seq, {seq:nonce, …} in flight, {pending delta as text or nil, …}}
-- Atomic, because a delta moves from pending to in flight and must be seen in exactly one of them.
local current = redis.call('GET', KEYS[1]) or ''
if current ~= ARGV[1] then return {current} end
local state = redis.call('HMGET', KEYS[2], 'acked', 'seq')
return {current, state[1] or '0', state[2] or '0', redis.call('LRANGE', KEYS[3], 0, -1), redis.call('MGET', unpack(KEYS, 4))}
