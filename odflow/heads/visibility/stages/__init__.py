"""The stages of the visibility head."""
