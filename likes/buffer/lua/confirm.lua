-- Read where a shard stands, from a server that may be believed.
-- KEYS  1 epoch pointer, 2 state, 3 pending, 4 in_flight
-- ARGV  the fields of state that are wanted
-- reply {current epoch or "", {field, …}, entries of pending, {seq:nonce, …} in flight}
-- Atomic with a write, because a replica or a demoted master answers reads, but refuses writes. The write itself does
-- nothing: it removes a field that never exists.
redis.call('HDEL', KEYS[2], '')
return {
  redis.call('GET', KEYS[1]) or '',
  redis.call('HMGET', KEYS[2], unpack(ARGV)),
  redis.call('LLEN', KEYS[3]),
  redis.call('LRANGE', KEYS[4], 0, -1),
}
