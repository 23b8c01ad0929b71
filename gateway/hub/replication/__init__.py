"""Replication: vehicles' logs, from what a broker delivers to what is durable here and may be acknowledged.

It stores what was signed by a key that may sign, in the order of its chain, and takes from it what other rooms keep.
"""
