"""Processes: the hub as one process or as many, its HTTP server, and the broker that it can start itself."""
