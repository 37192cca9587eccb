-- Add deltas for one producer, once, however often they are sent.
-- KEYS  1 epoch pointer, 2 state, 3 pending, 4 producers, 5… delta keys
-- ARGV  1 epoch it was first sent to, 2 producer, 3 its sequence, 4 msgpack array: a delta as text for each delta key,
--       5 "1" if the pending deltas are wanted
-- reply {current epoch or ""} when that is another one: nothing was done
--       {epoch, {index, reason, …} refused, {pending delta as text, …} if wanted}
-- Atomic, because the sequence and the deltas it stands for are remembered together or not at all.
local current = redis.call('GET', KEYS[1]) or ''
if current ~= ARGV[1] then return {current} end

local sequence, refused = tonumber(ARGV[3]), {}
local known = redis.call('HGET', KEYS[4], ARGV[2])
local last, _, refused_before
if known then
  local whole
  whole, last, _, refused_before = pcall(cmsgpack.unpack, known)
  if not whole or type(refused_before) ~= 'table' then
    return redis.error_reply('ERR the key ' .. KEYS[4] .. ' holds a producer that is none of ours; delete it')
  end
end

if last and sequence <= last then
  refused = refused_before
else
  redis.call('HGET', KEYS[2], 'seq')  -- a key of another type fails here, before anything is written
  local was_empty = redis.call('LLEN', KEYS[3]) == 0  -- and here
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  -- The first write: a full Redis refuses it, and with it the whole script.
  redis.call('HSET', KEYS[4], ARGV[2], cmsgpack.pack(sequence, now, refused))

  local deltas, begun, sum = cmsgpack.unpack(ARGV[4]), {}, 0
  local before = redis.call('MGET', unpack(KEYS, 5))
  local first = #KEYS[3]  -- "…delta:" is one byte shorter than "…pending": where the member begins in a delta key
  for i = 1, #deltas do
    local key, delta = KEYS[4 + i], deltas[i]
    local reply = redis.pcall('INCRBY', key, delta)
    if type(reply) == 'table' then
      refused[#refused + 1] = i
      refused[#refused + 1] = reply.err
    else
      sum = sum + tonumber(delta)
      if not before[i] then begun[#begun + 1] = string.sub(key, first) end
    end
  end
  if #begun > 0 then redis.call('RPUSH', KEYS[3], unpack(begun)) end
  if was_empty and #begun > 0 then redis.pcall('HSET', KEYS[2], 'pending_since', string.format('%.0f', now)) end
  local added = redis.pcall('HINCRBY', KEYS[2], 'accepted', string.format('%.0f', sum))
  if type(added) == 'table' and string.find(added.err, 'overflow', 1, true) then
    redis.pcall('HSET', KEYS[2], 'accepted', sum < 0 and '-9223372036854775808' or '9223372036854775807')
  end
  if #refused > 0 then redis.call('HSET', KEYS[4], ARGV[2], cmsgpack.pack(sequence, now, refused)) end
end

if ARGV[5] ~= '1' then return {current, refused} end
return {current, refused, redis.call('MGET', unpack(KEYS, 5))}
