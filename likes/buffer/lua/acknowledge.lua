-- Drop one batch that SQL has; harmless when repeated.
-- KEYS  1 state, 2 in_flight, 3 batch:<seq>
-- ARGV  1 seq:nonce
-- reply 1 if it was the oldest in flight, else 0
-- Atomic, because a number may be given again: only the batch with this very nonce may go.
if redis.call('LRANGE', KEYS[2], 0, 0)[1] ~= ARGV[1] then return 0 end

-- All or nothing: what is called behind DEL is called here before, in a form that changes nothing. LREM comes first:
-- after a write a full Redis lets the others through.
redis.call('LREM', KEYS[2], 1, '')
local tried = redis.pcall('HINCRBY', KEYS[1], 'acked', 0)
if type(tried) == 'table' and not string.find(tried.err, 'not an integer', 1, true) then return tried end

redis.call('DEL', KEYS[3])
redis.call('LREM', KEYS[2], 1, ARGV[1])
redis.pcall('HINCRBY', KEYS[1], 'acked', 1)
return 1
