"""`python -m cli` is `likes`."""

from cli.main import main

main()
