"""The Object Detection API's layers that several architectures share."""
