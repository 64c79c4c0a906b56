"""What detectors compute with boxes: codes, matches, losses, suppression."""
