"""Readers of files that loggers and people write."""
