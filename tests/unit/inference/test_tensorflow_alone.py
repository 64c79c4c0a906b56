"""TensorFlow comes without Keras, and Keras still comes when it is asked for."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from odflow.inference.tensorflow_alone import import_tensorflow
tf = import_tensorflow()
assert import_tensorflow() is tf
print([name for name in ("keras", "tf_keras") if name in sys.modules])
print(tf.keras.layers.Dense(2)(tf.zeros([1, 3])).shape)
"""


@pytest.mark.slow
def test_keras_waits_until_it_is_wanted():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[]", "(1, 2)"], done.stderr
