"""The formats of the Object Detection API: pipeline.config, checkpoints, tensor names."""
