"""Loggers of many makers: `families` lists what is supported, the other modules understand it. Pure."""
