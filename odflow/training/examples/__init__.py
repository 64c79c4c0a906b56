"""From records to training examples: read, ordered, augmented, preprocessed."""
