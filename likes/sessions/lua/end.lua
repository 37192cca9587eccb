-- End a session: from now on it is over for everybody, and what is to be kept of it waits to be in SQL.
-- KEYS  1 session, 2 due, 3 owner, 4 sessions of its user (left out if that is nobody)
-- ARGV  4 its hash, 5 user, 6 "1" to end it only if its time is over, 7 database, if only that one may end it,
--       8 the hash of the session that it goes on in ("": none), 9 milliseconds until it is due
-- reply {now, name, value, …} of what waits, with "owner"; nothing if nothing does
-- Atomic, because whoever writes to it must see all of it or its end.
local owner = redis.call('GET', KEYS[3]) or ''
if ARGV[7] ~= '' and owner ~= ARGV[7] then return false end
local session, member = read(KEYS[1]), ARGV[4] .. ARGV[5]

local function forget()
  redis.call('ZREM', KEYS[2], member)
  if KEYS[4] then redis.call('ZREM', KEYS[4], ARGV[4]) end
end

if not session.user then  -- it expired by itself, or was evicted
  forget()
  return false
end
if not session.ended_at then
  local alive = is_alive(session)
  if ARGV[6] == '1' and alive then return false end  -- it was used just now

  -- All or nothing: these change nothing. HDEL comes first: after a write a full Redis lets the others through. But one
  -- that is to go on needs room for that.
  if ARGV[8] ~= '' then redis.call('ZADD', KEYS[2], 'XX', 'GT', 0, member) end
  redis.call('HDEL', KEYS[1], '')
  redis.call('ZREM', KEYS[2], '')
  redis.call('ZADD', KEYS[2], 'XX', 'GT', 0, member)
  if not alive and not has_kept(session) then
    redis.call('DEL', KEYS[1])
    forget()
    return false
  end
  session.ended_at = text(alive and now or math.min(tonumber(session.expires_at), longest(session)))
  session.moved_to = ARGV[8] ~= '' and ARGV[8] or nil
  redis.call('PERSIST', KEYS[1])
  redis.call('HSET', KEYS[1], 'ended_at', session.ended_at)  -- this ends it
  if session.moved_to then redis.call('HSET', KEYS[1], 'moved_to', session.moved_to) end
  redis.call('ZADD', KEYS[2], text(tonumber(session.ended_at) + tonumber(ARGV[9])), member)
  local kept = ' ' .. session.keep .. ' '
  for name in pairs(session) do
    local field = string.match(name, '^f:(.*)')
    if field and not session.moved_to and not string.find(kept, ' ' .. field .. ' ', 1, true) then
      redis.call('HDEL', KEYS[1], name)
      session[name] = nil
    end
  end
end
if KEYS[4] then redis.call('ZREM', KEYS[4], ARGV[4]) end
session.owner = owner
return reply(session)
