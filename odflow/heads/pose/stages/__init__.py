"""The stages of the pose head."""
