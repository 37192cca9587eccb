-- Read a batch in flight, and whose it is.
-- KEYS  1 owner, 2 batch:<seq>
-- reply {database the shard belongs to or "", the batch or ""}
-- Atomic, because a batch of another database must not be applied.
return {redis.call('GET', KEYS[1]) or '', redis.call('GET', KEYS[2]) or ''}
