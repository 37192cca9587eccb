"""`make scale`: ten million pending items, twenty million rows. What the figures mean stands in docs/scale.md."""
