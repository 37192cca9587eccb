-- What every script on a session begins with: the moment, and whether a session still is.
-- ARGV  1 milliseconds it lives unused, 2 milliseconds it lives at most, 3 milliseconds since 1970 by the caller's clock,
--       for a Redis that does not tell its own
local time, now = redis.pcall('TIME'), tonumber(ARGV[3])
if not time.err then now = time[1] * 1000 + math.floor(time[2] / 1000) end

local function text(number) return string.format('%.0f', number) end

local function read(key)  -- the hash of a session as a table, empty if there is none
  local flat, session = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do session[flat[i]] = flat[i + 1] end
  return session
end

local function reply(session)  -- the same as a list, behind the moment
  local flat = {text(now)}
  for name, value in pairs(session) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  return flat
end

local function longest(session) return tonumber(session.created_at) + tonumber(ARGV[2]) end

local function is_alive(session)
  return session.user and not session.ended_at
    and now < tonumber(session.expires_at) and now < longest(session)
end

local function next_expiry(session) return math.min(now + tonumber(ARGV[1]), longest(session)) end

local function has_kept(session)  -- a field that is to be kept is there, so that it must not expire by itself
  for name in string.gmatch(session.keep or '', '%S+') do
    if session['f:' .. name] then return true end
  end
  return false
end
