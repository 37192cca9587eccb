"""The protocol as small programs that go through every interleaving: `make model` runs them all."""
