"""The reference logger: our own design, specified in ``docs/reference-logger.md``."""
