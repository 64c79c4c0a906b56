"""The Object Detection API's two-stage detectors: Faster R-CNN and Mask R-CNN."""
