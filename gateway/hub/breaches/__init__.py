"""Breaches: which of them are one and the same, where each stands with people, and those that belong to no known trip.

The acts of reviewers are in `gateway.hub.review`; here is what every act, and the watch, must keep to.
"""
