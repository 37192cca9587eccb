-- Read a batch in flight, and whose it is.
-- KEYS  1 owner, 2 batch:<seq>
-- reply {database the shard belongs to or "", the batch or "", "" or "1" where another type stands at its key}
-- Atomic, because a batch of another database must not be applied.
local batch = redis.pcall('GET', KEYS[2])
local other = type(batch) == 'table'
if other and not string.find(batch.err, 'WRONGTYPE', 1, true) then return batch end
return {redis.call('GET', KEYS[1]) or '', not other and batch or '', other and '1' or ''}
