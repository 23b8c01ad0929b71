"""The vehicle: hears loggers, records, seals, sends, warns."""
