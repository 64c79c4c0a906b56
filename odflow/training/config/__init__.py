"""Translate the parts of a pipeline.config that several architectures share."""
