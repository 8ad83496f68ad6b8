"""Export: the candidate in formats for devices."""
