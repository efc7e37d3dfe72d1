"""Tables (SQLModel), the database handle, and `queries/` with all SQL."""
