"""The record: every segment verbatim, found by its index and dated by its boots; what is unreadable, set aside."""
