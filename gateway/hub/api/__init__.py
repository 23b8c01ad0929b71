"""The HTTP interface, `/api/v1`."""
