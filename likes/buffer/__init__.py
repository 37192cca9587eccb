"""The Redis side: what is pending and in flight, the scripts that move it, and the links they go over."""
