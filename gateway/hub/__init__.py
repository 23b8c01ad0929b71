"""The hub: archives, judges, alerts, shows."""
