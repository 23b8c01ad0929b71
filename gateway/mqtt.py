"""To be filled: mqtt."""
