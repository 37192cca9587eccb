"""Links to Redis: round trips that are never repeated by themselves."""
