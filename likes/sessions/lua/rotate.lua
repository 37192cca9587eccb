-- Give a session another token; the one before is over, and waits to be told to SQL.
-- KEYS  1 session, 2 the session under its new hash, 3 due, 4 owner, 5 sessions of its user (left out if that is nobody)
-- ARGV  4 its hash, 5 its new hash, 6 user
-- reply {now, name, value, …} of the session, with "owner"; the same if this call did it already; nothing if it is over
-- Atomic, because no change may be lost on the way, and a user's sessions may be ended meanwhile. RENAME keeps the TTL.
local owner = redis.call('GET', KEYS[4]) or ''
local session = read(KEYS[2])
if not session.user then
  session = read(KEYS[1])
  if not is_alive(session) then return false end

  redis.call('ZADD', KEYS[3], 'XX', 'GT', 0, ARGV[4] .. ARGV[6])  -- changes nothing, and a full Redis refuses it
  if KEYS[5] then redis.call('ZREM', KEYS[5], '') end
  session.hits, session.last_seen = text(redis.call('HINCRBY', KEYS[1], 'hits', 1)), text(now)
  redis.call('HSET', KEYS[1], 'last_seen', session.last_seen)
  redis.call('RENAME', KEYS[1], KEYS[2])

  local before = {ended_at = text(now), keep = ''}
  for _, name in ipairs({'user', 'created_at', 'last_seen', 'hits', 'expires_at'}) do before[name] = session[name] end
  for name, value in pairs(before) do redis.call('HSET', KEYS[1], name, value) end
  redis.call('ZADD', KEYS[3], before.ended_at, ARGV[4] .. ARGV[6])
  redis.call('ZADD', KEYS[3], session.expires_at, ARGV[5] .. ARGV[6])
  if KEYS[5] then
    redis.call('ZREM', KEYS[5], ARGV[4])
    redis.call('ZADD', KEYS[5], session.expires_at, ARGV[5])
  end
end
session.owner = owner
return reply(session)
