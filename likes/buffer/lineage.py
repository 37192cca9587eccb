"""Where the embedded server keeps its lineage: the run ids of the processes whose memory it has, whole.

The list begins with the process that runs; each of the others was stopped in order, and none but those in the list took
writes in between. Behind the word STOPPED at its head stands a process that has just been stopped. The key is the
server's own: it lies outside prefixes, shards and epochs.
"""

LINEAGE = "likes-embedded:lineage"
STOPPED = "stopped"
