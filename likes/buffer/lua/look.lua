-- Read what live totals need of one shard at one moment, and on the way keep what SQL said of them, while that holds.
-- KEYS  1 epoch pointer, 2 owner, 3 state, 4 in_flight, then the delta key of each member; where totals are cached then
--       the total key of each, then the fill lease of each
-- ARGV  1 epoch, 2 how many members, 3 database, "" where totals are not cached, 4 now (ms) for a Redis that does not
--       tell the time, 5 time to live (ms), 6 age (ms) from which on a total is not kept, 7 a number from 0 to 1 by which
--       times to live differ, 8 and 9: a total is refreshed early that ends within so many ms + so many times what it
--       cost to read it, 10 how long (ms) a fill lease lasts, 0 for none
--       then, where SQL was asked: 11 seq of its cursor under this epoch, 12 its generation, 13 what it cost (ms), then
--       its total of each member, "" for those it was not asked for
-- reply {current epoch or ""} when that is another one
--       {epoch, database the shard belongs to or "", seq, generation, {seq:nonce, …} in flight,
--        {pending delta as text or nil, …}, {cached total "total cursor …" with "!" before it if the reader is to refresh
--        it, "" if the reader is to ask SQL, "-" if another one is just asking, …}}, the last empty where none is cached
-- Atomic, because a delta moves from pending to in flight to SQL and must be seen in exactly one of them; and a total is
-- kept only if at this moment all that SQL did not know of is in flight.
local current = redis.call('GET', KEYS[1]) or ''
if current ~= ARGV[1] then return {current} end

local count, owner = tonumber(ARGV[2]), redis.pcall('GET', KEYS[2]) or ''
if type(owner) == 'table' then owner = '?' end  -- not to be read, so it is not known to be ours
local state = redis.call('HMGET', KEYS[3], 'seq', 'acked', 'through', 'generation', 'cached_until')
local flying = redis.call('LRANGE', KEYS[4], 0, -1)
local pending = redis.call('MGET', unpack(KEYS, 5, 4 + count))
local generation, cached = state[4] or '0', {}
local reply = {current, owner, state[1] or '0', generation, flying, pending, cached}
if ARGV[3] == '' or owner ~= ARGV[3] then return reply end  -- nothing is kept for another database
local acked, through = string.match(state[2] or '0', '^%d+$'), string.match(state[3] or '0', '^%d+$')
if not (acked and through and tonumber(generation)) then return reply end  -- somebody else wrote there
local missed = acked - through  -- so many batches were not carried through to cached totals

local function total_key(i) return KEYS[4 + count + i] end
local function fill_lease(i) return KEYS[4 + 2 * count + i] end

local time = redis.pcall('TIME')
local now = time.err and tonumber(ARGV[4]) or time[1] * 1000 + math.floor(time[2] / 1000)
local time_to_live, max_age = tonumber(ARGV[5]), tonumber(ARGV[6])
local function end_of(i, filled)
  local spread = (ARGV[7] + i * 0.618034) % 1  -- so that what is filled together does not end together
  return math.min(now + math.floor(time_to_live * (0.9 + 0.1 * spread)), filled + max_age)
end
local function keep(i, total, cursor, generation, filled, cost, ends)
  local value = string.format('%s %s %s %.0f %.0f %s', total, cursor, generation, filled, ends, cost)
  redis.pcall('SET', total_key(i), value, 'PX', string.format('%.0f', math.max(ends - now, 1)))
end

local function generation_of_values()
  return string.format('%s.%.0f.%s', generation, missed, string.sub(ARGV[3], 1, 8))
end
if ARGV[11] then
  local seq, cursor = tonumber(reply[3]), tonumber(ARGV[11])
  local first = flying[1] and tonumber(string.match(flying[1], '^%d+')) or seq + 1
  local all_in_flight = cursor <= seq and first <= cursor + 1 and #flying == seq - first + 1
  if all_in_flight and tonumber(ARGV[12]) >= tonumber(generation) then
    local until_ = string.format('%.0f', now + 2 * max_age)
    if tonumber(state[5] or '0') < now + max_age then  -- whoever acknowledges knows by it that there is something cached
      if type(redis.pcall('HSET', KEYS[3], 'cached_until', until_)) == 'table' then return reply end  -- Redis is full
    end
    if tonumber(ARGV[12]) > tonumber(generation) then
      if type(redis.pcall('HSET', KEYS[3], 'generation', ARGV[12])) == 'table' then return reply end
      generation = ARGV[12]
      reply[4] = generation
    end
    for i = 1, count do
      if ARGV[13 + i] ~= '' then
        keep(i, ARGV[13 + i], ARGV[11], generation_of_values(), now, ARGV[13], end_of(i, now))
        redis.pcall('DEL', fill_lease(i))
      end
    end
  end
end

local current_generation = generation_of_values()
local function takes_lease(i)
  if ARGV[10] == '0' then return true end
  return redis.pcall('SET', fill_lease(i), '', 'NX', 'PX', ARGV[10]) ~= false  -- an error, as of a full Redis: no lease
end
for i, value in ipairs(redis.call('MGET', unpack(KEYS, 5 + count, 4 + 2 * count))) do
  local total, cursor, of, filled, ends, cost
  if value then total, cursor, of, filled, ends, cost = string.match(value, '^(%S+) (%d+) (%S+) (%d+) (%d+) (%d+)$') end
  if of ~= current_generation or filled + max_age <= now then
    cached[i] = takes_lease(i) and '' or '-'
  else
    cached[i] = value
    if ends - now < 0.9 * time_to_live then  -- a tenth of it has passed
      local later = end_of(i, tonumber(filled))
      if later > tonumber(ends) then
        keep(i, total, cursor, of, filled, cost, later)
        ends = later
      end
    end
    if ends - now <= ARGV[8] + cost * ARGV[9] and takes_lease(i) then cached[i] = '!' .. value end
  end
end
return reply
