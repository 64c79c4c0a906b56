"""The class of each object of an example: its text decides, its label where the text is empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from odflow.errors import nearest
from odflow.left_out import LeftOut
from odflow.terminal import shown


def object_classes(
    texts: Sequence[bytes], labels: Sequence[int], ids: Mapping[str, int]
) -> Sequence[int | str]:
    """Tell the class of each object.

    Args:
        texts: image/object/class/text; may be empty.
        labels: image/object/class/label; may be empty.
        ids: class text to id; without any the labels decide.

    Returns:
        Of each object the id, or the text that `ids` lacks.

    >>> object_classes([b"dog", b"", b"cat"], [7, 8, 9], {"dog": 2})
    [2, 8, 'cat']
    """
    if not ids or not texts:
        return labels
    spare: Sequence[int | str] = labels if len(labels) == len(texts) else [""] * len(texts)
    found = (text.decode("utf-8", "replace") for text in texts)
    return [ids.get(text, text) if text else label for text, label in zip(found, spare, strict=True)]


def unknown_objects(counts: Mapping[str, int], objects: int, ids: Mapping[str, int], place: str) -> LeftOut:
    """Say which objects are left out of training since the label map lacks their class.

    Args:
        counts: objects of each class text.
        objects: all objects, these included.
        ids: of the label map.
        place: the label map's file.

    >>> print(unknown_objects({"Red": 1}, 9, {"red": 1}, "lm.pbtxt"))
    1 of 9 objects left out: class "Red" is not in lm.pbtxt. Did you mean "red"?
    """
    first = sorted(counts, key=lambda text: (-counts[text], text))
    named = ", ".join(f'"{shown(text)}"' for text in first[:3])
    more = f" and {len(first) - 3} more" if len(first) > 3 else ""
    verb = f"class {named} is" if len(first) == 1 else f"classes {named}{more} are"
    near = nearest(first[0].strip(), ids) if first else ""
    what = f"of {objects} objects left out: {verb} not in {place}"
    return LeftOut("objects_unknown_class", sum(counts.values()), what, advice=near.strip())
