"""Looking at both servers without changing anything: how things stand, and whether every like is accounted for."""
