-- Add deltas as `add` does, once for each idempotency key, whichever process sends it and however often.
-- KEYS  1 epoch pointer, 2 once, 3 resharding, 4… the bucket that the key belongs to in each generation, the newest last; then add's
-- ARGV  1 epoch it was first sent to, 2 the generations as known, 3 how many those are, 4 the key (10 bytes), 5 the digest
--       of what it stands for (4 bytes), 6 how many keys a bucket takes, 7 what to keep: "pending", the pending delta of
--       the one entry there is; "refused", which entries were; and without entries, what is given here as msgpack; then
--       add's ARGV, or none if there are no entries
-- reply {current epoch or ""} when that is another one, or as add says: nothing was done
--       {epoch, "generations", those there are} when they are others, or "full" in the place of "generations" when the
--       newest has no room for it: nothing was done
--       {epoch, "repeat", digest and msgpack of what was kept} when the key is known: nothing was done
--       {epoch, "added", add's reply}, which was given entries
--       the error RESHARDING while the number of shards is being changed: nothing was done
-- Atomic, because a key and what was added under it are remembered together or not at all.
local outside = redis.call('MGET', KEYS[1], KEYS[2], KEYS[3])
local current, generations, many = outside[1] or '', outside[2] or '', tonumber(ARGV[3])
if current ~= ARGV[1] then return {current} end
if generations ~= ARGV[2] then return {current, 'generations', generations} end

for i = 4, 3 + many do
  local record = redis.pcall('HGET', KEYS[i], ARGV[4])
  if type(record) == 'table' then
    if not string.find(record.err, 'WRONGTYPE', 1, true) then return record end
    return redis.error_reply('ERR the key ' .. KEYS[i] .. ' holds another type than ours; delete it')
  end
  if record and record ~= '' then return {current, 'repeat', record} end
end
if outside[3] and outside[3] ~= '' then return redis.error_reply('RESHARDING to ' .. outside[3]) end
local bucket = KEYS[3 + many]
if many == 0 or redis.call('HLEN', bucket) >= tonumber(ARGV[6]) then return {current, 'full', generations} end

-- What was sent before its producer's last call comes late: its caller has gone on, and add would take it for counted.
local last = #ARGV > 7 and redis.call('HGET', KEYS[7 + many], ARGV[9])
last = last and tonumber(string.match(last, '^%d+'))
if last and tonumber(ARGV[10]) < last then
  return redis.error_reply('ERR a later call of this producer came before this one, which was not counted')
end

redis.call('HSET', bucket, ARGV[4], '')  -- the first write, refused by a full Redis; a key with nothing is none
if #ARGV == 7 then
  redis.call('HSET', bucket, ARGV[4], ARGV[5] .. ARGV[7])
  return {current, 'added'}
end
local ran, reply = pcall(add, {unpack(KEYS, 4 + many)}, {unpack(ARGV, 8)})
if not ran and type(reply) == 'string' then error(reply, 0) end  -- Redis 6.2
local told = type(reply) == 'table'
if told and (reply.err or #reply == 1) then return reply end

local refused, kept = told and reply[2] or {}, ''
if ARGV[7] == 'pending' and #refused > 0 then return {current, 'added', reply} end  -- it may be tried again
if ARGV[7] == 'pending' then
  kept = type(reply) == 'string' and reply or cmsgpack.pack(told and reply[3][1] or reply)
elseif #refused > 0 then
  kept = cmsgpack.pack(refused)
end
redis.call('HSET', bucket, ARGV[4], ARGV[5] .. kept)
return {current, 'added', reply}
