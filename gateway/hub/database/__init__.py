"""The database: its tables and their history, transactions, locks, and the registry's rows as models."""
