"""BaselineModel: the model in production, with which the candidate is compared."""
