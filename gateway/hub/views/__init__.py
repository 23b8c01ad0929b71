"""Views: how loggers, trips and figures stand, and what another profile or calibration would change. Reads only."""
