"""From examples to what training reads: decoding, normalisation, batches, kept activations."""
