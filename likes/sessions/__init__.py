"""Sessions in Redis: any process serves any of them, each field is changed by itself, and what ended stays over.

    begin ──▶ touch, change (a hit each; every tenth of its idle time: slide) ──▶ end ──▶ SQL ──▶ drop
                                └── rotate (another token) · log in (another token, in the user's shard)

A session is a hash under the SHA-256 of its token, which itself is nowhere. Two sorted sets by expiry lead to it: the
sessions of its user, and those of its shard, by which a worker's sweep finds what is over. All of them carry the tag of
one of SESSION_SHARDS shards, a number of its own that no change of LIKES_SHARDS touches; the shard stands in the token.

The end is logical, as with a batch of likes: a field `ended_at` ends it for everybody, and seals what was to be kept;
then SQL has it, under its hash, so that twice does no harm; then it is dropped. Whoever dies in between, the next sweep
goes on. A session with a field that is to be kept does not expire by itself: the sweep ends it. `ended_at` in SQL also
ends again what had ended, where Redis went back.
"""
