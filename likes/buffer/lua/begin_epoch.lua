-- Point at a fresh epoch, if the old one is still current.
-- KEYS  1 epoch pointer, 2 epochs, 3 owner
-- ARGV  1 old epoch ("" for none: anybody may begin the first), 2 fresh epoch, 3 database
-- reply whichever epoch is current now
-- Atomic, because two that begin at once must end up in one epoch.
local current = redis.call('GET', KEYS[1]) or ''
if current ~= ARGV[1] then return current end
if current ~= '' and redis.call('GET', KEYS[3]) ~= ARGV[3] then return current end
redis.call('DEL', KEYS[1])  -- comes first: after a write that frees memory a full Redis lets the others through
redis.call('SET', KEYS[1], ARGV[2])
redis.call('SADD', KEYS[2], ARGV[2])
return ARGV[2]
