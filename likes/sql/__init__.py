"""The SQL side: tables, what differs between databases, transactions, the ledger."""
