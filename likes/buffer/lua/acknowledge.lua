-- Drop one batch that SQL has, and carry it through to cached totals; harmless when repeated.
-- KEYS  1 owner, 2 state, 3 in_flight, 4 batch:<seq>, then the total keys of its entries in their order, or none
-- ARGV  1 database, 2 seq:nonce, 3 "through": its deltas are added to the cached totals; "drop": these are dropped
-- reply 0 if it is not the oldest in flight, or the shard belongs to another database
--       1 if it was dropped, 2 if so, but totals are cached that it was not carried through to: no total cached before
--       is used any more
-- Atomic, because a number may be given again: only the batch with this very nonce may go; and because a total is cached
-- with the number of the last batch in it. In order, because a total that is written through would be wrong without the
-- batch before.
if redis.call('GET', KEYS[1]) ~= ARGV[1] or redis.call('LRANGE', KEYS[3], 0, 0)[1] ~= ARGV[2] then return 0 end

-- All or nothing: what is called behind DEL is called here before, in a form that changes nothing. LREM comes first:
-- after a write a full Redis lets the others through.
redis.call('LREM', KEYS[3], 1, '')
local tried = redis.pcall('HINCRBY', KEYS[2], 'acked', 0)
if type(tried) == 'table' and not string.find(tried.err, 'not an integer', 1, true) then return tried end

local function is_error(reply) return type(reply) == 'table' and reply.err end
local function written_through()
  local totals = redis.pcall('MGET', unpack(KEYS, 5))
  if is_error(totals) then return false end
  local members, deltas
  for i, value in ipairs(totals) do
    if value then
      if not members then
        local batch = redis.pcall('GET', KEYS[4])
        if not batch or is_error(batch) then return false end
        batch = cmsgpack.unpack(batch)
        members, deltas = batch[8], batch[9]
        if #members ~= #totals then return false end
      end
      local total, cursor, rest = string.match(value, '^(-?%d+) (%d+) (.*)$')
      local after = total and total + deltas[i]
      if not after or math.abs(total) >= 2 ^ 52 or math.abs(deltas[i]) >= 2 ^ 52 then  -- Lua's numbers lose larger ones
        if is_error(redis.pcall('DEL', KEYS[4 + i])) then return false end
      elseif tonumber(cursor) < tonumber(string.match(ARGV[2], '^%d+')) then
        local text = string.format('%.0f %s %s', after, string.match(ARGV[2], '^%d+'), rest)
        if is_error(redis.pcall('SET', KEYS[4 + i], text, 'KEEPTTL')) then return false end
      end
    end
  end
  return true
end

local carried
if #KEYS == 4 then carried = not redis.call('HGET', KEYS[2], 'cached_until')
elseif ARGV[3] == 'drop' then carried = not is_error(redis.pcall('DEL', unpack(KEYS, 5)))
else carried = written_through() end

redis.call('DEL', KEYS[4])
redis.call('LREM', KEYS[3], 1, ARGV[2])
redis.pcall('HINCRBY', KEYS[2], 'acked', 1)
if carried then redis.pcall('HINCRBY', KEYS[2], 'through', 1) end
return carried and 1 or 2
