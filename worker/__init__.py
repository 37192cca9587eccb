"""The worker: moves what is pending in Redis into SQL, exactly once, whichever process dies when.

A shard's likes go through these states; each arrow is one atomic step, a Lua script or a SQL transaction:

    pending ──hand-off──▶ in flight ──apply──▶ applied (in flight still) ──acknowledge──▶ gone from Redis

A worker that dies leaves a shard in one of them, and the next flush goes on from there:

    dies …                            finds …                               does
    before the hand-off               pending deltas                        hands them off
    after the hand-off                a batch in flight, next on its chain  applies it
    after the commit (or its reply)   a batch in flight, in the ledger      acknowledges it
    after the acknowledgement         nothing                               nothing

The shards of one thread go side by side: each hands off a row of batches, one transaction applies them all, then they
are acknowledged. Where one of them is not as expected the transaction leaves no trace, and the rules look at each batch
alone, under the lock of its shard's cursor.

A batch is applied only where it follows the shard's cursor (same epoch, number one more, and it names the nonce of the
batch before it), and the cursor moves in the transaction that adds to the totals. So two workers, a stalled one that
wakes up, or a repeated transaction apply it once. The lease only saves them the work of trying.

Where LIKES_DURABILITY asks for it, a batch that was handed off, found in flight or is of an epoch to be adopted waits
between the first two steps until replicas or the disk have it too (`likes.buffer.durability`).

What Redis or SQL may do, and how it is noticed:

    Redis went back (restored, a replica that was behind)   its number is behind the cursor's, or level, other nonce:
                                                            the epoch is retired, what it held set aside as dead letters
    Redis was emptied or replaced                           it points at an epoch SQL does not know: adopted; or
                                                            it names no database any more: claimed again
    SQL went back (restored)                                a batch in flight is past cursor + 1: the cursor moves up
    a batch of a retired epoch                              set aside as dead letters
    a key was deleted or overwritten by hand                what was accepted is neither sealed nor pending: put among
                                                            the pending again, or written off

Each is recorded as an incident with the window in which likes may have been lost. Before any of them, the cursor's row
is locked and the master asked anew, with a write.

    flush               the main path: hand off, apply, acknowledge, in this order
    shard_flush         where one shard stands in it, and what is put right before
    decisions           the rules, as pure functions
    recovery, missing   what is done about the list above
    run, loop, rounds   the process around it: its signals, when it flushes, its leases
    schedule, trouble, housekeeping                     what these ask
    events, log_lines, pulse                            what they say, to the log and to `likes status`
    figures, metrics                                    … and to Prometheus
    notices, notice, telling                            … and to whoever is to know of incidents and dead letters
    assembly            all of it put together from settings
    checks              what may be set up wrongly, and what to type
"""
