-- Read a session for a request, and count that.
-- KEYS  1 session
-- ARGV  4 "1" if the request counts as a hit
-- reply {now, name, value, …}; nothing if the session is over
-- Atomic, because a session that ends meanwhile must not be written to: that would bring it back.
local session = read(KEYS[1])
if not is_alive(session) then return false end
if ARGV[4] == '1' then
  local hits = redis.pcall('HINCRBY', KEYS[1], 'hits', 1)
  if type(hits) == 'number' then
    redis.call('HSET', KEYS[1], 'last_seen', text(now))
    session.hits, session.last_seen = text(hits), text(now)
  elseif not string.find(hits.err, 'OOM', 1, true) then  -- a full Redis still reads
    return hits
  end
end
return reply(session)
