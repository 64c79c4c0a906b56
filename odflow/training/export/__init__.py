"""Trained detectors as files that anything can run, each checked."""
