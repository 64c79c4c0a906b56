"""The names of numbered classes: a YAML file of a data set, or a list with one name a line."""

from __future__ import annotations

import math
from pathlib import Path

from odflow.errors import ConfigError, InputError
from odflow.formats.class_file import ClassFile, class_number
from odflow.formats.text_files import decode_text, has_controls, lines_of, read_bytes
from odflow.formats.yolo import read_yolo_names
from odflow.reading import reads
from odflow.terminal import shown

_YAML = (".yaml", ".yml")


@reads("a list of class names", ConfigError)
def read_class_names(path: Path) -> dict[int, str]:
    """Read the names of classes.

    Args:
        path: a `.yaml` or `.yml` file with `names:`, see `read_yolo_names`; any other file has
            one name a line (classes.txt, obj.names), where the first line names class 0.

    Returns:
        The name of each class number.

    Raises:
        ConfigError: no such file, no such names in it, or an empty line between two names, which
            would shift the numbers. The message names file and line.
    """
    path = Path(path)
    if path.suffix.lower() in _YAML:
        return read_yolo_names(path)
    try:
        lines = lines_of(decode_text(read_bytes(path), str(path)))
    except InputError as error:
        raise ConfigError(f"{error} Wanted: one class name a line.") from None
    names = [line.strip() for line in lines]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise ConfigError(f"{path}: is empty. Wanted: one class name a line.")
    for number, name in enumerate(names, 1):
        _check(f"{path}:{number}", name)
    return dict(enumerate(names))


@reads("a YAML file with names:", ConfigError)
def read_keypoint_values(path: Path) -> int:
    """Read how many values of keypoints the lines of a data set have, after the box of each object.

    Args:
        path: as `read_class_names` takes it; YAML of a data set of keypoints has `kpt_shape: [17, 3]`.

    Returns:
        The number; 0 for a data set without keypoints.

    Raises:
        ConfigError: no such file, not YAML, or another `kpt_shape`.
    """
    if Path(path).suffix.lower() not in _YAML:
        return 0
    shape = [class_number(one.text) or 0 for one in ClassFile(path).entries("kpt_shape")]
    if shape and (len(shape) != 2 or not all(shape)):
        raise ConfigError(
            f"{path}: kpt_shape is no pair of numbers above 0. Wanted [keypoints, values of each]."
        )
    return math.prod(shape) if shape else 0


def _check(place: str, name: str) -> None:
    if not name:
        raise ConfigError(f"{place}: is empty between two names. Remove the line: it takes a class number.")
    if name.startswith("#"):
        raise ConfigError(f"{place}: is a comment, which would take a class number. Remove the line.")
    if has_controls(name):
        raise ConfigError(f"{place}: holds control characters ({shown(name)[:40]}). Is this a text file?")
    if name == "names:" or name.startswith(("names: ", "names=", "names =")):
        raise ConfigError(
            f"{place}: is no class name ({shown(name)[:40]}). Give a YAML file a name that ends in .yaml; "
            "of a .data file give the file of names that it points to."
        )
