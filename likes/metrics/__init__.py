"""Figures for Prometheus: what a process counts, and how things stand in Redis and SQL.

    Tally (one process: plain numbers) ──▶ Board (what several processes of one server have) ──┐
    Standing (Redis and SQL, looked at for a scrape) ──────────────────────────────────────────┴──▶ exposition

Every name, its labels and what it means stand in `families`. prometheus_client writes the text; it does not count, as
its histograms cost 1.5 µs a request (2.6 where several processes share them), and a like has 20 in all. An item, a key
or a path somebody made up is never a label.
"""
