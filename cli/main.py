"""`likes`, once it is settled what is imported from where: `likes/__main__.py` is the entry point."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run `likes` with the arguments of this process, and exit."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while modules load ends it without a traceback
    from cli.app import likes_with
    from cli.arguments import wants_more
    from cli.exits import run

    words = sys.argv[1:]
    sys.exit(run(lambda: likes_with(words), verbose=wants_more(words)))
