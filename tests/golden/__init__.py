"""Runs files of worked cases through the rules: `python -m tests.golden FILE`."""
