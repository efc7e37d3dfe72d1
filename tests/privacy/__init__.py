"""What is held of persons: where it stands, that it is exported, that it goes."""
