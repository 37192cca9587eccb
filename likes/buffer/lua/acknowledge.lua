-- Drop one batch that SQL has; harmless when repeated.
-- KEYS  1 owner, 2 state, 3 in_flight, 4 batch:<seq>
-- ARGV  1 database, 2 seq:nonce
-- reply 1 if it was dropped; 0 if it is not the oldest in flight, or the shard belongs to another database
-- Atomic, because a number may be given again: only the batch with this very nonce may go. In order, because a total that
-- is written through would be wrong without the batch before.
if redis.call('GET', KEYS[1]) ~= ARGV[1] or redis.call('LINDEX', KEYS[3], 0) ~= ARGV[2] then return 0 end
redis.call('LPOP', KEYS[3])
redis.call('DEL', KEYS[4])
redis.pcall('HINCRBY', KEYS[2], 'acked', 1)
return 1
