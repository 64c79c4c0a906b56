"""Running a trained model, a detector or a head's: frozen GraphDef, SavedModel, exported folder, TFLite."""

import os

# TensorFlow's C++ notices (no GPU here, oneDNN is on, ...) would bury the stages' own lines;
# its errors come as exceptions too. It reads this when it is imported, which is later.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
