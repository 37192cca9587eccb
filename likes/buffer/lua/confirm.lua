-- Read where a shard stands, from a server that may be believed.
-- KEYS  1 epoch pointer, 2 state, 3 in_flight
-- reply {current epoch or "", seq, nonce, accepted, sealed, {seq:nonce, …} in flight}
-- Atomic with a write, because a replica or a demoted master answers reads, but refuses writes. The write itself does
-- nothing: it removes a field that never exists.
redis.call('HDEL', KEYS[2], '')
local state = redis.call('HMGET', KEYS[2], 'seq', 'nonce', 'accepted', 'sealed')
return {
  redis.call('GET', KEYS[1]) or '',
  state[1] or '0', state[2] or '', state[3] or '0', state[4] or '0',
  redis.call('LRANGE', KEYS[3], 0, -1),
}
