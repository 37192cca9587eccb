-- Turn the head of the pending deltas into a sealed batch in flight.
-- KEYS  1 owner, 2 nonces, 3 state, 4 pending, 5 in_flight, 6 batch:<seq + 1>, 7… delta keys of the head
-- ARGV  1 epoch, 2 shard, 3 seq and 4 nonce as compared with SQL, 5 nonce of the new batch, 6 now (ms since 1970),
--       7 how many batches handed off just before this one are in flight,
--       8 how many members of the next head to return, 9 pending_since (ms) of what stays behind, "" to leave it,
--       10 database
-- reply {} when the owner, the state, the head or what is in flight is not as it was read: nothing was done
--       {batch, the next head as a msgpack array of members}
-- Atomic, because at any moment a delta must be either pending or in a batch, never both or neither.
if redis.call('GET', KEYS[1]) ~= ARGV[10] then return {} end
local state = redis.call('HMGET', KEYS[3], 'seq', 'nonce')
if (state[1] or '0') ~= ARGV[3] or (state[2] or '') ~= ARGV[4] then return {} end
if redis.call('LLEN', KEYS[5]) ~= tonumber(ARGV[7]) then return {} end

local count, first = #KEYS - 6, #KEYS[4]  -- "…delta:" is one byte shorter than "…pending"
local head = redis.call('LRANGE', KEYS[4], 0, count - 1)
for i = 1, count do
  if head[i] ~= string.sub(KEYS[6 + i], first) then return {} end
end
redis.call('LTRIM', KEYS[2], -9999, -1)  -- of the last 10,000 batches; another type fails here, before anything is written

local members, texts, odd, n = {}, {}, {}, 0  -- two arrays side by side pack faster than a thousand pairs
local sum, large = 0, {}
for i = 1, count do
  local text = redis.pcall('GETDEL', KEYS[6 + i])
  if type(text) == 'table' and i == 1 and not string.find(text.err, 'WRONGTYPE', 1, true) then
    return text  -- GETDEL itself is refused (no permission, Redis before 6.2), before anything was written
  elseif type(text) == 'table' then  -- another type: seal what it is, as raw bytes, and take it out of the way
    n = n + 1
    members[n], texts[n] = head[i], redis.call('DUMP', KEYS[6 + i])
    odd[#odd + 1] = {n - 1, text.err}
    redis.call('DEL', KEYS[6 + i])
  elseif text and text ~= '0' then
    n = n + 1
    members[n], texts[n] = head[i], text
    if not string.find(text, '^-?[1-9]%d*$') then  -- no number: the worker sets it aside
    elseif #text <= 12 then sum = sum + tonumber(text)
    else large[#large + 1] = text end  -- Lua's numbers lose integers past 2^53
  end
end

local seq, now = ARGV[3] + 1, tonumber(ARGV[6])
local batch = cmsgpack.pack({1, ARGV[1], tonumber(ARGV[2]), seq, ARGV[5], ARGV[4], now, members, texts, odd})
redis.call('SET', KEYS[6], batch)
local id = string.format('%.0f:%s', seq, ARGV[5])
redis.call('RPUSH', KEYS[5], id)
redis.call('RPUSH', KEYS[2], id)
redis.call('LTRIM', KEYS[4], count, -1)
redis.call('HSET', KEYS[3], 'seq', string.format('%.0f', seq), 'nonce', ARGV[5])

large[#large + 1] = string.format('%.0f', sum)
for _, part in ipairs(large) do
  local added = redis.pcall('HINCRBY', KEYS[3], 'sealed', part)
  if type(added) == 'table' and string.find(added.err, 'overflow', 1, true) then
    local limit = string.sub(part, 1, 1) == '-' and '-9223372036854775808' or '9223372036854775807'
    redis.pcall('HSET', KEYS[3], 'sealed', limit)
  end
end
local next_head = {}
if ARGV[8] ~= '0' then next_head = redis.call('LRANGE', KEYS[4], 0, ARGV[8] - 1) end  -- 0, -1 would be all there is
if redis.call('LLEN', KEYS[4]) == 0 then
  redis.call('HDEL', KEYS[3], 'pending_since')
elseif ARGV[9] ~= '' then
  redis.call('HSET', KEYS[3], 'pending_since', ARGV[9])
end
return {batch, cmsgpack.pack(next_head)}
