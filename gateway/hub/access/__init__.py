"""People and programs at the hub: accounts, roles and rights, sessions, tokens."""
