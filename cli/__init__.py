"""The command `likes`: one small file a command.

`likes/__main__.py` is the entry point, which calls `main`; `app` holds the settings every command takes; `exits` turns
what went wrong into one line and an exit code; `output` shows results. Commands import what they need when they run, so
that `likes --help` stays quick.
"""
