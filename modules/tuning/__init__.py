"""What the module file tuner.py needs: the plan of a search, its trials, and their results."""
