"""The HTTP API: `likes serve`.

    a request ──▶ serving (sockets, processes, signals, limits) ──▶ app ──▶ routes ──▶ AsyncLikeCounter
                                                                     └── problems: every error as RFC 9457 says

`app` puts it together; a file of `routes` has what belongs to one word of the contract (items, sessions, events, …).
Installed with: pip install likes[http]
"""
