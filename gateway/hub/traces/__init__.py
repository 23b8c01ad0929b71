"""Traces: the temperatures of a trip as a picture, as words and as a table, for pages and reports alike."""
