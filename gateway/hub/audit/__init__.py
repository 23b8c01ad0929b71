"""The audit trail: acts of people, chained as they are written, and the trail as it is read."""
