"""The one command, coldchain."""
