"""Several processes that send one run: each takes parts of its plan, and the ledger on PostgreSQL keeps them apart."""
