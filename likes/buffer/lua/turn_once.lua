-- Begin a generation of buckets for idempotency keys where that is due, and let go of those of which all keys are too old.
-- KEYS  1 epoch pointer, 2 once, 3… some buckets of the newest generation; or those to delete
-- ARGV  1 epoch, 2 the generations as known, 3 how many buckets a new one is to have because the newest is full, "" if it
--       is not, 4 the number of one whose buckets were all deleted, "" for none, 5 for how long a key is known (ms),
--       6 after how long a generation has a successor (ms), 7 how many buckets one begins with, 8 how much it grows by,
--       9 "1" if nothing is to be done but to delete buckets of a generation that is over
-- reply {current epoch or ""} when that is another one: nothing was done
--       {epoch, the generations there are now}: "<number>:<buckets>:<when it began, ms>", the oldest first, behind a "-" if
--       all of its keys are too old, so that nobody looks there any more and its buckets may be deleted
-- Atomic, because which buckets are looked into changes for everybody at once: also back, in a Redis that went back by a
--       day, where somebody may still mean to delete some that are in use again.
local current = redis.call('GET', KEYS[1]) or ''
if current ~= ARGV[1] then return {current} end
local generations = redis.call('GET', KEYS[2]) or ''
if generations ~= ARGV[2] then return {current, generations} end

if ARGV[9] == '1' then
  redis.call('DEL', unpack(KEYS, 3))
  return {current, generations}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local all = {}
for over, number, buckets, began in string.gmatch(generations, '(%-?)(%d+):(%d+):(%d+)') do
  all[#all + 1] = {over = over, number = number, buckets = tonumber(buckets), began = tonumber(began)}
end
local newest = all[#all]
local wanted = newest and tonumber(ARGV[3]) or not newest and tonumber(ARGV[7])
if not wanted and now - newest.began >= tonumber(ARGV[6]) then
  -- As many as are filled by a quarter, or as there were.
  local held = 0
  for i = 3, #KEYS do held = held + redis.call('HLEN', KEYS[i]) / (#KEYS - 2) end
  wanted = newest.buckets
  while wanted > 1 and held * tonumber(ARGV[8]) <= 64 do
    wanted, held = wanted / tonumber(ARGV[8]), held * tonumber(ARGV[8])
  end
end
if wanted then
  all[#all + 1] = {over = '', number = newest and newest.number + 1 or 1, buckets = wanted, began = now}
end
local texts = {}
for i, each in ipairs(all) do
  if i < #all and now - all[i + 1].began >= tonumber(ARGV[5]) then each.over = '-' end
  if each.over == '' or each.number ~= ARGV[4] then
    texts[#texts + 1] = string.format('%s%.0f:%.0f:%.0f', each.over, each.number, each.buckets, each.began)
  end
end
local turned = table.concat(texts, ' ')
if turned ~= generations then redis.call('SET', KEYS[2], turned) end
return {current, turned}
