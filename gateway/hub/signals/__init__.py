"""Signals: rows written in the transaction of what they tell, and taken from there once it is durable.

Alerts are sent, events wake listeners, dirty consignments are judged, marks are projected. Nothing is told that did not
happen, and nothing that happened goes untold.
"""
