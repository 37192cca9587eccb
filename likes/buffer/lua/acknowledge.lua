-- Drop one batch that SQL has; harmless when repeated.
-- KEYS  1 state, 2 in_flight, 3 batch:<seq>
-- ARGV  1 seq:nonce
-- reply 1 if it was in flight, else 0
-- Atomic, because a number may be given again: only the batch with this very nonce may go.
local dropped = redis.call('LREM', KEYS[2], 1, ARGV[1])
if dropped == 1 then
  redis.call('DEL', KEYS[3])
  redis.pcall('HINCRBY', KEYS[1], 'acked', 1)
end
return dropped
