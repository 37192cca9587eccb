"""The protocol as small programs that go through every interleaving: `make model` runs them as the README of each says."""
