"""Rate limits that several processes share, decided in each without asking first."""
