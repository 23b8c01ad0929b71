"""Upkeep: signed heads leave the hub, what is old enough is removed, and the database moves to another."""
