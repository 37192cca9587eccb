-- Begin a session.
-- KEYS  1 session, 2 due, 3 sessions of its user (left out if that is nobody)
-- ARGV  4 its hash, 5 user ("": nobody), 6 hits so far, 7 names of fields to keep, parted by spaces, 8 field, 9 its
--       value as JSON, 10 another field, …
-- reply {now, name, value, …} of the session; the same if it was begun by this call already
-- Atomic, because the session and what leads to it are there together or not at all.
local session = read(KEYS[1])
if session.user then return reply(session) end

session = {user = ARGV[5], created_at = text(now), last_seen = text(now), hits = ARGV[6], keep = ARGV[7]}
for i = 8, #ARGV, 2 do session['f:' .. ARGV[i]] = ARGV[i + 1] end
session.expires_at = text(next_expiry(session))

-- All or nothing: these change nothing, and tell whether they are permitted. The first is refused by a full Redis.
local member = ARGV[4] .. ARGV[5]
redis.call('ZADD', KEYS[2], 'XX', 0, member)
redis.call('PEXPIREAT', KEYS[1], session.expires_at)
if KEYS[3] then redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', '(' .. text(now)) end  -- those that are over

local flat = reply(session)
redis.call('HSET', KEYS[1], unpack(flat, 2))
redis.call('ZADD', KEYS[2], session.expires_at, member)
if KEYS[3] then redis.call('ZADD', KEYS[3], session.expires_at, ARGV[4]) end
if not has_kept(session) then redis.call('PEXPIREAT', KEYS[1], session.expires_at) end
return flat
