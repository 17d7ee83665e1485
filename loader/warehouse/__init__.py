"""The warehouse: SQL as typed statements, connections, the ledger, loads."""
