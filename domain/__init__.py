"""The rules of commerce: pure Python, no I/O, clock, randomness, environment or float."""
