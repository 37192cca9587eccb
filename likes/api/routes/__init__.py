"""The routes, a file for each word of the contract."""
