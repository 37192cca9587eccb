"""Posting likes: each counted once, however often its call has to be sent."""
