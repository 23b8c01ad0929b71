"""Readings as tables for other programs: any span and selection, streamed."""
