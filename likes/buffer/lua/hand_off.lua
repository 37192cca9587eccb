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

local seq = ARGV[3] + 1
local id = string.format('%.0f:%s', seq, ARGV[5])
-- All or nothing: whatever is called from the first GETDEL on is called here before, in a form that changes nothing, so
-- that what is not permitted ends the script in time. DEL comes first: after a write a full Redis lets the others through.
redis.call('DEL', KEYS[6])
redis.call('GETDEL', KEYS[6])
redis.call('DUMP', KEYS[6])
redis.call('SET', KEYS[6], '', 'XX')
redis.call('LTRIM', KEYS[4], 0, -1)
redis.call('LTRIM', KEYS[2], -9999, -1)  -- the last 10,000 batches are remembered
redis.call('HDEL', KEYS[3], '')
redis.call('HSET', KEYS[3], 'seq', ARGV[3], 'nonce', ARGV[4])
local tried = redis.pcall('HINCRBY', KEYS[3], 'sealed', 0)
if type(tried) == 'table' and not string.find(tried.err, 'not an integer', 1, true) then return tried end
redis.call('RPUSH', KEYS[5], id)  -- the last of them, and done
redis.call('RPUSH', KEYS[2], id)

local members, texts, odd, n = {}, {}, {}, 0  -- two arrays side by side pack faster than a thousand pairs
local sum, large = 0, {}
for i = 1, count do
  local text = redis.pcall('GETDEL', KEYS[6 + i])
  if type(text) == 'table' then  -- another type: seal what it is, as raw bytes, and take it out of the way
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

local batch = cmsgpack.pack({1, ARGV[1], tonumber(ARGV[2]), seq, ARGV[5], ARGV[4], tonumber(ARGV[6]), members, texts, odd})
redis.call('SET', KEYS[6], batch)
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
