"""What breaks: each fault is a generator that breaks something, yields while it is broken, and mends it."""
