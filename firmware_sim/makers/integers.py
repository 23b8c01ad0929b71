"""Numbers into the fields of advertisements: rounded to steps, clipped to what the field holds."""


def steps(value: float, steps_per_unit: float, lowest: int, highest: int) -> int:
    """Return a value as a whole number of steps within a field's range."""
    return max(lowest, min(highest, round(value * steps_per_unit)))


def signed_16(value: float | None, steps_per_unit: float) -> int:
    """Return a value for a signed field of 16 bits; its smallest number stands for None."""
    return -32_768 if value is None else steps(value, steps_per_unit, -32_767, 32_767)


def unsigned_16(value: float, steps_per_unit: float) -> int:
    """Return a value for an unsigned field of 16 bits."""
    return steps(value, steps_per_unit, 0, 65_535)
