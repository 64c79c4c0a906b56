"""What the Object Detection API calls the tensors of an exported detector."""

from __future__ import annotations

IMAGE = "image_tensor"
"""A frozen graph's input: uint8 (N, height, width, 3) RGB."""

TF2_IMAGE = "input_tensor"
"""The same input in a SavedModel of the API's TensorFlow 2 exporter: uint8 (1, height, width, 3)."""

SIGNATURE_IMAGES = ("inputs", TF2_IMAGE, IMAGE)
"""Keys of that input in a SavedModel's signature: a TF1 export's, a TF2 export's, others'."""

ENCODED_IMAGE = "encoded_image_string_tensor"
"""The input of a graph that was exported to decode images itself: strings (N,), a file each."""

GRAPH_IMAGES = (IMAGE, TF2_IMAGE, ENCODED_IMAGE)
"""What a frozen graph may call its input."""

BOXES = "detection_boxes"
"""(N, M, 4) float32: ymin xmin ymax xmax, normalised."""

SCORES = "detection_scores"
"""(N, M) float32, 0 to 1, falling."""

CLASSES = "detection_classes"
"""(N, M) float32: ids of the label map, from 1."""

COUNT = "num_detections"
"""(N,) float32: how many of the M are detections; the others are padding."""

OUTPUTS = (BOXES, SCORES, CLASSES, COUNT)

MULTICLASS_SCORES = "detection_multiclass_scores"
"""(N, M, background and classes) float32: all scores of each detection's anchor."""

ANCHORS = "detection_anchor_indices"
"""(N, M) float32: which anchor each detection comes from, from 0."""

RAW_BOXES = "raw_detection_boxes"
"""(N, A, 4) float32: boxes before suppression, not clipped."""

RAW_SCORES = "raw_detection_scores"
"""(N, A, background and classes) float32: scores before suppression."""

MASKS = "detection_masks"
"""(N, M, height, width) float32, 0 to 1: the mask of each detection, filling its box."""
