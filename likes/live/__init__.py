"""Live totals: what SQL holds, what is in flight and what is pending, added up."""
