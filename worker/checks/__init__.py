"""What `likes check` looks at, and a worker when it starts; each file finds things about one of: settings, Redis, SQL.

A function a finding. Its `fix` is what to type: a command of ours, `export …`, a command for `redis-cli`, a statement
for the database; or a sentence, where no command mends it.
"""
