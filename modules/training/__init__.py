"""The two-phase fit: phases, optimizers, losses, augmentation, devices, and the state of an unfinished training."""
