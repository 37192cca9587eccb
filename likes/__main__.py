"""The command: `likes`, or `python -m likes`. It settles where modules come from before it imports others."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run `likes` with the arguments of this process, and exit."""
    if not __package__:  # started by its path, as `command_line` does: the library may be nowhere on sys.path
        sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from likes.installation import order_imports

    order_imports()
    from cli.main import main as command

    command()


if __name__ == "__main__":
    main()
