"""ServingCheck: whether the candidate can be served, and answers as it did in training."""
