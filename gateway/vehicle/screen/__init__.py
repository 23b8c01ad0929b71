"""The vehicle's own screen: how the boxes stand, what to do now, and what is scanned."""
