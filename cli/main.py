"""`likes`, once it is settled what is imported from where: `likes/__main__.py` is the entry point."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Run `likes` with the arguments of this process, and exit."""
    signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))  # by default a container's first has no end
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while modules load ends it without a traceback
    from cli.app import likes_with
    from cli.arguments import wants_more
    from cli.exits import run

    # Items are UTF-8 whatever the locale takes arguments for.
    words = [os.fsencode(word).decode("utf-8", "surrogateescape") for word in sys.argv[1:]]
    sys.exit(run(lambda: likes_with(words), verbose=wants_more(words)))
