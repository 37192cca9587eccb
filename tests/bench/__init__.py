"""The figures the project promises, each measured beside its baseline in the same run: `make bench`.

A figure that is a ratio measures both sides round by round, A B A B…, on fresh data, and is the median of the rounds'
ratios: so a slow machine, or one that is busy for a while, slows both sides. The servers are real ones, started for the
run, with the append-only file and fsync on.
"""
