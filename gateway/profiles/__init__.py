"""The default profile library, as data."""
