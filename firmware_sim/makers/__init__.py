"""The loggers that can be simulated, a module for each maker; ``table`` lists them."""
