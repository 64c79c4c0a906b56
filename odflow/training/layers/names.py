"""What layers are called that have no name of their own."""

from __future__ import annotations

import tf_keras


def number_layers_anew() -> None:
    """Have Keras number layers without a name from the first one on: conv2d, conv2d_1, ...

    It counts over all models that a process builds. `freeze_variables` matches the names, so
    what is built first and what is built after it must be called the same. To be called
    before a network is built; one that is built keeps its names.
    """
    tf_keras.backend.reset_uids()
