"""Files in and out, without TensorFlow."""
