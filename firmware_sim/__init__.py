"""Simulated loggers, boxes, weather and radio."""
