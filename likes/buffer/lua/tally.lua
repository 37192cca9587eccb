-- Read a shard's sums and all that is pending, at one moment.
-- KEYS  1 epoch pointer, 2 state, 3 pending, 4 in_flight, 5… delta keys of all that is pending
-- ARGV  the fields of state that are wanted
-- reply {} when other members are pending
--       {current epoch or "", {field, …}, entries of pending, {seq:nonce, …} in flight, {pending delta as text or nil, …}}
-- Atomic, because a like or a hand-off in between would look like a difference; and with a write that does nothing, as
-- a replica or a demoted master refuses those.
redis.call('HDEL', KEYS[2], '')
local count, first = #KEYS - 4, #KEYS[3]  -- "…delta:" is one byte shorter than "…pending"
if redis.call('LLEN', KEYS[3]) ~= count then return {} end
local members = redis.call('LRANGE', KEYS[3], 0, -1)
for i = 1, count do
  if members[i] ~= string.sub(KEYS[4 + i], first) then return {} end
end
return {
  redis.call('GET', KEYS[1]) or '',
  redis.call('HMGET', KEYS[2], unpack(ARGV)),
  count,
  redis.call('LRANGE', KEYS[4], 0, -1),
  count > 0 and redis.call('MGET', unpack(KEYS, 5)) or {},
}
