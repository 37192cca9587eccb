-- Add deltas for one producer, once, however often they are sent.
-- KEYS  1 epoch pointer, 2 state, 3 pending, 4 producers, 5 resharding, 6… delta keys
-- ARGV  1 epoch it was first sent to, 2 producer, 3 its sequence, 4 the delta as text, or for several delta keys a msgpack
--       array of theirs, 5 "1" if the pending deltas are wanted, 6 the sequence of the producer acknowledged last under
--       this epoch, "" if none was so lately that it must be remembered, 7 how long ago that was sent (ms), 8 "1" if this
--       was sent before
-- reply {current epoch or ""} when that is another one, or was sent before to a Redis that has forgotten what it had
--       acknowledged, so that nobody can tell whether it had counted: nothing was added
--       if all were added just now: the pending deltas, a number or a msgpack array of them, "" if they are not wanted
--       {epoch, {index, reason, …} refused, {pending delta, …} if wanted} otherwise
--       the error RESHARDING while the number of shards is being changed, unless it was added before: nothing was added
-- Atomic, because the sequence and the deltas it stands for are remembered together or not at all.
local before = redis.call('MGET', KEYS[1], unpack(KEYS, 5))
local current = before[1] or ''
if current ~= ARGV[1] then return {current} end

-- A producer's record is its last sequence, and behind a colon what was refused under it.
local known = redis.call('HGET', KEYS[4], ARGV[2])
local last = known == ARGV[6] and known or known and (string.match(known, '^%d+$') or string.match(known, '^(%d+):'))
last = last and tonumber(last)
if known and not last then
  return redis.error_reply('ERR the key ' .. KEYS[4] .. ' holds a producer that is none of ours; delete it')
end
if last and tonumber(ARGV[3]) <= last then
  local refused = {}
  if string.find(known, ':', 1, true) then
    local whole
    whole, refused = pcall(cmsgpack.unpack, string.match(known, ':(.*)$'))
    if not whole or type(refused) ~= 'table' then
      return redis.error_reply('ERR the key ' .. KEYS[4] .. ' holds a producer that is none of ours; delete it')
    end
  end
  if ARGV[5] ~= '1' then return {current, refused} end
  return {current, refused, redis.call('MGET', unpack(KEYS, 6))}
end

local function milliseconds()  -- 0 for a user who may not ask the time
  local time = redis.pcall('TIME')
  return time.err and 0 or time[1] * 1000 + math.floor(time[2] / 1000)
end

local forgot = ARGV[6] ~= '' and (last or 0) < tonumber(ARGV[6])
if forgot and ARGV[8] == '1' then
  redis.pcall('HSET', KEYS[2], 'forgot', string.format('%.0f', milliseconds() - ARGV[7]))
  return {current}
end

if before[2] and before[2] ~= '' then return redis.error_reply('RESHARDING to ' .. before[2]) end

local count = #KEYS - 5
local deltas, sum, begins = count == 1 and {ARGV[4]} or cmsgpack.unpack(ARGV[4]), 0, false
for i = 1, count do
  sum = sum + tonumber(deltas[i])
  begins = begins or not before[2 + i]
end

local function is_of_its_value(error)  -- no right is missing, and the server is in order
  return string.find(error, 'not an integer', 1, true) or string.find(error, 'overflow', 1, true)
end

-- All or nothing: what may be refused comes before the first delta, in an order in which what was done can be undone by
-- a command that has just succeeded. RPUSH, which cannot, is only asked about.
if begins then
  redis.call('LLEN', KEYS[3])  -- fails if it is of another type
  if redis.acl_check_cmd and not redis.acl_check_cmd('RPUSH', KEYS[3], '') then
    return redis.error_reply("NOPERM this user has no permissions to run the 'rpush' command")
  end
end
redis.call('HSET', KEYS[4], ARGV[2], ARGV[3])  -- the first write: a full Redis refuses it, and with it the script
if begins and not redis.acl_check_cmd then  -- Redis 6.2: whoever may do it is told that this is no list
  local reply = redis.pcall('RPUSH', KEYS[4], '')
  if not string.find(reply.err, 'WRONGTYPE', 1, true) then
    redis.call('HSET', KEYS[4], ARGV[2], known or '0')
    return reply
  end
end
local added = redis.pcall('HINCRBY', KEYS[2], 'accepted', count == 1 and ARGV[4] or string.format('%.0f', sum))
local saturated_from
if type(added) == 'table' then
  if not is_of_its_value(added.err) then
    redis.call('HSET', KEYS[4], ARGV[2], known or '0')
    return added
  elseif string.find(added.err, 'overflow', 1, true) then
    saturated_from = redis.call('HGET', KEYS[2], 'accepted')
    redis.call('HSET', KEYS[2], 'accepted', sum < 0 and '-9223372036854775808' or '9223372036854775807')
  end
end

local begun, refused, pending, left_out = begins and {}, nil, {}, 0
local first = #KEYS[3]  -- "…delta:" is one byte shorter than "…pending": where the member begins in a delta key
for i = 1, count do
  local key = KEYS[5 + i]
  local reply = redis.pcall('INCRBY', key, deltas[i])
  pending[i] = reply
  if type(reply) == 'table' then
    if i == 1 and not is_of_its_value(reply.err) and not string.find(reply.err, 'WRONGTYPE', 1, true) then
      if saturated_from then redis.call('HSET', KEYS[2], 'accepted', saturated_from)
      else redis.pcall('HINCRBY', KEYS[2], 'accepted', string.format('%.0f', -sum)) end
      redis.call('HSET', KEYS[4], ARGV[2], known or '0')
      return reply
    end
    refused = refused or {}
    refused[#refused + 1] = i
    refused[#refused + 1] = reply.err
    left_out = left_out + tonumber(deltas[i])
    pending[i] = before[2 + i]
  elseif not before[2 + i] then
    begun[#begun + 1] = string.sub(key, first)
  end
end
if begins and #begun > 0 and redis.call('RPUSH', KEYS[3], unpack(begun)) == #begun then  -- nothing was pending before
  local now = milliseconds()
  if now > 0 then redis.pcall('HSET', KEYS[2], 'pending_since', string.format('%.0f', now)) end
end
if forgot then redis.pcall('HSET', KEYS[2], 'forgot', string.format('%.0f', milliseconds() - ARGV[7])) end
if refused then
  redis.call('HSET', KEYS[4], ARGV[2], ARGV[3] .. ':' .. cmsgpack.pack(refused))
  if not saturated_from then redis.pcall('HINCRBY', KEYS[2], 'accepted', string.format('%.0f', -left_out)) end
end

if ARGV[5] ~= '1' then return refused and {current, refused} or '' end
for i = 1, count do
  if type(pending[i]) == 'number' and math.abs(pending[i]) >= 2 ^ 53 then  -- Lua's numbers lose larger integers
    pending[i] = redis.call('MGET', KEYS[5 + i])[1]
  end
end
if refused then return {current, refused, pending} end
return count == 1 and type(pending[1]) == 'number' and pending[1] or cmsgpack.pack(pending)
