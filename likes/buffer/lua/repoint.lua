-- Point a closed shard, of which everything was handed off, at a fresh epoch of another number of shards.
-- KEYS  1 epoch pointer, 2 epochs, 3 owner, 4 resharding, 5 left, 6 state of the fresh epoch; of the old one: 7 state,
--       8 pending, 9 in_flight, 10 once
-- ARGV  1 old epoch ("" for none), 2 fresh epoch, 3 to how many shards the number is being changed, 4 database, 5 from how
--       many, 6 now (ms since 1970), 7 what `left` begins with where there is none yet
-- reply the current epoch, and why it is not the fresh one: "" , "changed" for whatever is not as it was read, or "busy"
--       when something is pending or in flight: nothing was done
-- Atomic, because a like must not come to an epoch given up, and the fresh one must say where the old one ended: who
-- stands just there in SQL has all of it. Idempotency keys stay where they are, and `left` says where: one for each
-- change, "<when, ms> <from how many shards> <epoch> <its generations of buckets>"; the epoch is "-" where it had none.
local current = redis.call('GET', KEYS[1]) or ''
if current ~= ARGV[1] or redis.call('GET', KEYS[3]) ~= ARGV[4] or redis.call('GET', KEYS[4]) ~= ARGV[3] then
  return {current, 'changed'}
end
if redis.call('LLEN', KEYS[8]) > 0 or redis.call('LLEN', KEYS[9]) > 0 then return {current, 'busy'} end

local ended = redis.call('HMGET', KEYS[7], 'seq', 'nonce')
local left, once = redis.call('GET', KEYS[5]), redis.call('GET', KEYS[10])
-- All or nothing: what is called further down is called here before, in a form that changes nothing. SREM comes first:
-- after a write a full Redis lets the others through. HSET, which cannot be tried, is the first that writes.
redis.call('SREM', KEYS[2], '')
redis.call('SET', KEYS[1], ARGV[2], current == '' and 'XX' or 'NX')
redis.call('DEL', KEYS[6])
if current ~= '' then
  redis.call('SADD', KEYS[2], current)
  redis.call('HSET', KEYS[6], 'follows', string.format('%s:%s:%s', current, ended[1] or '0', ended[2] or ''))
  local entry = string.format('%s %s %s %s', ARGV[6], ARGV[5], current, once or '')
  left = left or ARGV[7]
  redis.call('SET', KEYS[5], left .. (left == '' and '' or '\n') .. entry)
  redis.call('DEL', KEYS[10])
end
redis.call('SADD', KEYS[2], ARGV[2])
redis.call('SET', KEYS[1], ARGV[2])
return {ARGV[2], ''}
