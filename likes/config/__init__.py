"""What a process runs with: its settings, the URLs among them, the data folder."""
