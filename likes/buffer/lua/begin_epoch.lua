-- Point at a fresh epoch, if the old one is still current.
-- KEYS  1 epoch pointer, 2 epochs, 3 owner, 4 resharding
-- ARGV  1 old epoch ("" for none: anybody may begin the first), 2 fresh epoch ("" for none: it is only asked), 3 database
-- reply whichever epoch is current now
-- Atomic, because two that begin at once must end up in one epoch. `resharding` is there from the first one on, as `add`
-- reads it: of a slot that is just being migrated a key that is not there may be on the other node.
local current = redis.call('GET', KEYS[1]) or ''
if current ~= ARGV[1] or ARGV[2] == '' then return current end
if current ~= '' and redis.call('GET', KEYS[3]) ~= ARGV[3] then return current end
redis.call('SREM', KEYS[2], '')  -- changes nothing; after a write a full Redis lets the others through
redis.call('SET', KEYS[1], ARGV[2], current == '' and 'XX' or 'NX')  -- changes nothing: is it permitted?
redis.call('SADD', KEYS[2], ARGV[2])
redis.call('SET', KEYS[4], '', 'NX')
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]
