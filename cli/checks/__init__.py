"""What `likes check` looks at; each file finds things about one of: the settings, Redis, the database."""
