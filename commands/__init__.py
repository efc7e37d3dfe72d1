"""The commands of `commerce`, a module for each concern; cli.py puts them together."""
