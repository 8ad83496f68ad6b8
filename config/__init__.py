"""The configuration of a run: one typed section per file. This package imports nothing else of the project."""
