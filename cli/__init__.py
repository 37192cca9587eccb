"""The command `likes`: one small file a command.

`main` is the entry point; `app` holds the settings every command takes; `exits` turns what went wrong into one line and
an exit code; `output` shows results. Commands import what they need when they run, so that `likes --help` stays quick.
"""
