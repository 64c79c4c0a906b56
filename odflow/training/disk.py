"""What TensorFlow meets while it writes files, told as what it is: an error of the disk."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

_TOLD = re.compile(r"^(?:\{\{.*?\}\} )?(?P<file>\S.*?); (?P<reason>[A-Z].*?)(?: \[Op:\w+\])?$", re.M)
"""A line such as ``{{function_node ...}} FILE; No space left on device [Op:SaveV2]``."""

_NUMBERS = {os.strerror(number): number for number in errno.errorcode}


@contextmanager
def told_by_disk() -> Iterator[None]:
    """Around writing: raise an OSError that names the file where TensorFlow raises one of its own errors.

    Other errors of TensorFlow go on as they are.

    Raises:
        OSError: the disk is full or refuses.
    """
    try:
        yield
    except tf.errors.OpError as error:
        raise _disk_error(error) or error from error


def _disk_error(error: tf.errors.OpError) -> OSError | None:
    for told in _TOLD.finditer(error.message):
        number = _NUMBERS.get(told["reason"])
        if number:
            return OSError(number, told["reason"], told["file"])
    return None
