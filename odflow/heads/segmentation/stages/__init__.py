"""Stages of the segmentation head."""
