"""Extra stages that plug in."""
