"""The demonstration: a day of transport, every process real but the radio."""
