"""Evaluator: the gate, which decides on the test split whether a candidate is blessed."""
