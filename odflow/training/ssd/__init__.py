"""The Object Detection API's single-shot detectors."""
