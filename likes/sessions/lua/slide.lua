-- Let a session that is in use live on.
-- KEYS  1 session, 2 due, 3 sessions of its user (left out if that is nobody)
-- ARGV  4 its hash, 5 user
-- reply when it expires now, in milliseconds since 1970; nothing if it is over
-- Atomic, because its expiry stands in four places.
local session = read(KEYS[1])
if not is_alive(session) then return false end
local expiry = text(next_expiry(session))

redis.call('ZREM', KEYS[2], '')  -- comes first: after a write that frees memory a full Redis lets the others through
redis.call('ZADD', KEYS[2], expiry, ARGV[4] .. ARGV[5])  -- too late alone does no harm
if KEYS[3] then
  redis.call('ZADD', KEYS[3], expiry, ARGV[4])
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', '(' .. text(now))  -- others that are over
end
if not has_kept(session) then redis.call('PEXPIREAT', KEYS[1], expiry) end
redis.call('HSET', KEYS[1], 'expires_at', expiry)
return expiry
