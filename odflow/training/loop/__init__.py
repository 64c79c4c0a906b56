"""The training itself: steps, optimizers, evaluation, checkpoints, machines."""
