"""Runs that are cancelled: hundreds of buyers, the database's own races, planted bugs."""
