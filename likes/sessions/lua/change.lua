-- Change fields of a session, each by itself, so that requests side by side lose nothing of each other's.
-- KEYS  1 session
-- ARGV  4 most fields, 5 most bytes of names and values together, 6 how many fields are set, 7 field, 8 its value as
--       JSON, … then fields that are removed
-- reply {now, name, value, …} after it; nothing if the session is over; "fields" or "bytes" if there would be too many
-- Atomic, because a session that ended meanwhile must not come back, and what is kept must not expire by itself.
local session = read(KEYS[1])
if not is_alive(session) then return false end

local first_removed = 7 + 2 * tonumber(ARGV[6])
for i = 7, first_removed - 1, 2 do session['f:' .. ARGV[i]] = ARGV[i + 1] end
for i = first_removed, #ARGV do session['f:' .. ARGV[i]] = nil end
local fields, bytes = 0, 0
for name, value in pairs(session) do
  if string.sub(name, 1, 2) == 'f:' then fields, bytes = fields + 1, bytes + #name - 2 + #value end
end
if fields > tonumber(ARGV[4]) then return 'fields' end
if bytes > tonumber(ARGV[5]) then return 'bytes' end

-- All or nothing: whatever may be refused comes before the first field.
if first_removed > 7 then redis.call('HSET', KEYS[1], 'last_seen', text(now)) end  -- a full Redis refuses it
redis.call('HDEL', KEYS[1], '')
session.hits, session.last_seen = text(redis.call('HINCRBY', KEYS[1], 'hits', 1)), text(now)
if has_kept(session) then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIREAT', KEYS[1], session.expires_at)
end
redis.call('HSET', KEYS[1], 'last_seen', text(now))
for i = 7, first_removed - 1, 2 do redis.call('HSET', KEYS[1], 'f:' .. ARGV[i], ARGV[i + 1]) end
for i = first_removed, #ARGV do redis.call('HDEL', KEYS[1], 'f:' .. ARGV[i]) end
return reply(session)
