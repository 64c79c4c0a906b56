"""The Object Detection API's CenterNet: every object is a peak of a heatmap."""
