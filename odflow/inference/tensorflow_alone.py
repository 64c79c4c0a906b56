"""Importing TensorFlow without Keras."""

from __future__ import annotations

import sys
from typing import Any

_KERAS = ("keras", "tf_keras")


def import_tensorflow() -> Any:
    """Import TensorFlow, but leave Keras until somebody asks for it.

    TensorFlow's `__init__` loads all of Keras at once (and goes on without it where it is
    not installed): 40 percent of the time that the import takes, and a graph in a session
    uses none of it. `tf.keras` still works, and loads it then.
    """
    absent = [name for name in _KERAS if "tensorflow" not in sys.modules and name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        import tensorflow
    finally:
        for name in absent:
            del sys.modules[name]
    return tensorflow
