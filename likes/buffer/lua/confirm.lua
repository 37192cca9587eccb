-- Read where a shard stands, from a server that may be believed.
-- KEYS  1 epoch pointer, 2 owner, 3 state, 4 pending, 5 in_flight, 6 nonces
-- ARGV  1 how many fields of state are wanted, then these, then seq:nonce of batches that it may remember
-- reply {current epoch or "", database or "", {field, …}, entries of pending, {seq:nonce, …} in flight,
--        {seq:nonce, …} of those asked for that were sealed here}
-- Atomic with a write, because a replica or a demoted master answers reads, but refuses writes. The write itself does
-- nothing: it removes a field that never exists.
redis.call('HDEL', KEYS[3], '')
local fields, remembered = tonumber(ARGV[1]), {}
for i = fields + 2, #ARGV do
  if type(redis.pcall('LPOS', KEYS[6], ARGV[i], 'RANK', -1)) == 'number' then remembered[#remembered + 1] = ARGV[i] end
end
return {
  redis.call('GET', KEYS[1]) or '',
  redis.call('GET', KEYS[2]) or '',
  redis.call('HMGET', KEYS[3], unpack(ARGV, 2, fields + 1)),
  redis.call('LLEN', KEYS[4]),
  redis.call('LRANGE', KEYS[5], 0, -1),
  remembered,
}
