-- Drop an ended session, which SQL has.
-- KEYS  1 session, 2 due, 3 owner
-- ARGV  1 database, 2 its hash and user, 3 when it ended
-- reply 1 if it was dropped; 0 if it is another's, gone, or not over
-- Atomic, because only what ended then may go.
if redis.call('GET', KEYS[3]) ~= ARGV[1] or redis.call('HGET', KEYS[1], 'ended_at') ~= ARGV[3] then return 0 end
redis.call('ZREM', KEYS[2], '')  -- changes nothing: is it permitted?
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[2])
return 1
