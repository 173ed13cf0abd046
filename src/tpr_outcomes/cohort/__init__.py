"""What happened to whom: reading, checking and deriving from a clinic's record."""
