-- Add deltas for one producer, once, however often they are sent.
-- KEYS  1 epoch pointer, 2 state, 3 pending, 4 producers, 5… delta keys
-- ARGV  1 epoch it was first sent to, 2 producer, 3 its sequence, 4 msgpack array: a delta as text for each delta key,
--       5 "1" if the pending deltas are wanted
-- reply {current epoch or ""} when that is another one: nothing was done
--       {epoch, {index, reason, …} refused, {pending delta as text, …} if wanted}
-- Atomic, because the sequence and the deltas it stands for are remembered together or not at all.
local before = redis.call('MGET', unpack(KEYS))  -- of what is no string it has nothing
local current = before[1] or ''
if current ~= ARGV[1] then return {current} end

-- A producer's record is its last sequence, and behind a colon what was refused under it.
local known, refused = redis.call('HGET', KEYS[4], ARGV[2]), {}
local last = known and tonumber(string.match(known, '^%d+'))
if last and tonumber(ARGV[3]) <= last then
  if string.find(known, ':', 1, true) then refused = cmsgpack.unpack(string.match(known, ':(.*)$')) end
  if ARGV[5] ~= '1' then return {current, refused} end
  return {current, refused, redis.call('MGET', unpack(KEYS, 5))}
end

local function is_of_its_key(error)  -- of what stands there: no right is missing, and the server is in order
  return string.find(error, 'WRONGTYPE', 1, true) or string.find(error, 'not an integer', 1, true)
    or string.find(error, 'overflow', 1, true)
end

local deltas, sum, begins = cmsgpack.unpack(ARGV[4]), 0, false
for i = 1, #deltas do
  sum = sum + tonumber(deltas[i])
  begins = begins or not before[4 + i]
end

-- All or nothing: what may be refused comes before the first delta, in an order in which what was done can be undone by
-- a command that has just succeeded. RPUSH, which cannot, is only asked about.
if begins then redis.call('LLEN', KEYS[3]) end  -- fails if it is of another type
if begins and redis.acl_check_cmd and not redis.acl_check_cmd('RPUSH', KEYS[3], '') then
  return redis.error_reply("NOPERM this user has no permissions to run the 'rpush' command")
end
redis.call('HSET', KEYS[4], ARGV[2], ARGV[3])  -- the first write: a full Redis refuses it, and with it the script
local function undone(error)
  redis.call('HSET', KEYS[4], ARGV[2], known or '0')
  return error
end
if begins and not redis.acl_check_cmd then  -- Redis 6.2: whoever may do it is told that this is no list
  local reply = redis.pcall('RPUSH', KEYS[4], '')
  if not string.find(reply.err, 'WRONGTYPE', 1, true) then return undone(reply) end
end
local added, saturated_from = redis.pcall('HINCRBY', KEYS[2], 'accepted', string.format('%.0f', sum)), nil
if type(added) == 'table' then
  if not is_of_its_key(added.err) then return undone(added) end
  if string.find(added.err, 'overflow', 1, true) then
    saturated_from = redis.call('HGET', KEYS[2], 'accepted')
    redis.call('HSET', KEYS[2], 'accepted', sum < 0 and '-9223372036854775808' or '9223372036854775807')
  end
end
local function take_back(number)
  if saturated_from then redis.call('HSET', KEYS[2], 'accepted', saturated_from)
  else redis.pcall('HINCRBY', KEYS[2], 'accepted', string.format('%.0f', -number)) end
end

local begun, texts, left_out = {}, {}, 0
local first = #KEYS[3]  -- "…delta:" is one byte shorter than "…pending": where the member begins in a delta key
for i = 1, #deltas do
  local key = KEYS[4 + i]
  local reply = redis.pcall('INCRBY', key, deltas[i])
  if type(reply) == 'table' then
    if i == 1 and not is_of_its_key(reply.err) then
      take_back(sum)
      return undone(reply)
    end
    refused[#refused + 1] = i
    refused[#refused + 1] = reply.err
    left_out = left_out + tonumber(deltas[i])
    texts[i] = before[4 + i]
  else
    if not before[4 + i] then begun[#begun + 1] = string.sub(key, first) end
    texts[i] = reply
  end
end
if #begun > 0 and redis.call('RPUSH', KEYS[3], unpack(begun)) == #begun then  -- nothing was pending before
  local time = redis.pcall('TIME')
  if not time.err then
    local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
    redis.pcall('HSET', KEYS[2], 'pending_since', now)
  end
end
if #refused > 0 then
  redis.call('HSET', KEYS[4], ARGV[2], ARGV[3] .. ':' .. cmsgpack.pack(refused))
  if not saturated_from then take_back(left_out) end
end

if ARGV[5] ~= '1' then return {current, refused} end
for i = 1, #texts do
  if type(texts[i]) == 'number' then
    local is_exact = math.abs(texts[i]) < 2 ^ 53  -- Lua's numbers lose larger integers
    texts[i] = is_exact and string.format('%.0f', texts[i]) or redis.call('MGET', KEYS[4 + i])[1]
  end
end
return {current, refused, texts}
