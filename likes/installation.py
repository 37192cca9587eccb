"""Where the parts of `likes` are, what the command imports from where, and how another process of it is started.

    installed    likes/, and in likes/_command/ what only the command imports: worker/, cli/, alembic/
    a checkout   likes/, and beside it worker/, cli/, alembic/

So an application's own `worker` or `cli` never meets ours: it does not see them, and `order_imports` lets the command
find its own first.
"""

from __future__ import annotations

import os
import sys

LIBRARY = os.path.dirname(os.path.abspath(__file__))
_AROUND = os.path.dirname(LIBRARY)
_INSTALLED = os.path.join(LIBRARY, "_command")

COMMAND = _INSTALLED if os.path.isdir(_INSTALLED) else _AROUND


def order_imports() -> None:
    """Import from the standard library first, then from the command and what it is installed with, then from the rest.

    The rest is what Python puts before the standard library: PYTHONPATH, and the folder of the script or the one where
    `python -m likes` runs. The folder `likes` itself is left out: its modules would hide the standard library's.
    """
    standard_library = os.path.dirname(os.__file__)
    begin = sys.path.index(standard_library) if standard_library in sys.path else 0
    rest, installed = sys.path[:begin], sys.path[begin:]
    standard = [entry for entry in installed if entry == standard_library or entry.endswith("lib-dynload")]
    ordered = dict.fromkeys([*standard, COMMAND, _AROUND, *installed, *rest])
    sys.path[:] = [entry for entry in ordered if os.path.abspath(entry) != LIBRARY]


def command_line(*words: str) -> list[str]:
    """What starts `likes` with these words in another process, whatever folder and PYTHONPATH that has."""
    return [sys.executable, "-P", os.path.join(LIBRARY, "__main__.py"), *words]
