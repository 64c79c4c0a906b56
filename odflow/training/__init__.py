"""Training with TensorFlow Model Garden: the only room that imports `official`."""
