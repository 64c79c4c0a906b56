"""The annotations of a data set, image by image, whatever form they lie in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from odflow.errors import ImageError, InputError
from odflow.formats.annotation_files import AnnotationFiles, pair_files
from odflow.formats.class_names import read_class_names, read_keypoint_values
from odflow.formats.drawn_boxes import Drawing, Exif, PlacedBoxes
from odflow.formats.images import ImageFile, image_size
from odflow.formats.labels_json import read_labels_json
from odflow.formats.voc import read_voc
from odflow.formats.yolo import is_yolo, read_yolo

_VOC_FOLDERS = {
    "jpegimages": ("Annotations",),
    "images": ("annotations", "Annotations", "annots", "xmls", "xml", "labels"),
}
_YOLO_FOLDERS = {"images": ("labels", "Labels")}


@dataclass(frozen=True, slots=True)
class Annotations:
    """What there is to read.

    Attributes:
        what: one of them is called: "XML file".
        drawings: reads what an image's annotation says, by the image's name.
        faults: what is wrong with the annotation of an image, by the image's name.
        strangers: annotations without an image.
        loose: what is wrong with annotations that cannot be told to be some image's.
        blank: whether an image without one shows nothing; if not, it is not annotated.
    """

    what: str
    drawings: Mapping[str, Callable[[], Drawing]]
    faults: Mapping[str, str] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)
    blank: bool = False

    @property
    def known(self) -> set[str]:
        """Names of the images that have an annotation, be it right or wrong."""
        return {*self.drawings, *self.faults}


def voc_annotations(
    folder: Path, images: Iterable[ImageFile], unread: Iterable[ImageFile] = ()
) -> Annotations:
    """Take a folder of XML files; an image that shows nothing has one too.

    Args:
        folder: of the files, or of the whole data set: what JPEGImages/ or images/ holds is
            annotated in Annotations/, annotations/, annots/, xmls/, xml/ or labels/ beside it.
        images: all that there are.
        unread: images of forms that are not read; their files are no strangers.
    """
    files = pair_files(folder, ".xml", images, _VOC_FOLDERS, unread)
    readers = {name: partial(read_voc, path) for name, path in files.files.items()}
    return Annotations("XML file", readers, _shared(files), _inside(folder, files.left))


def yolo_annotations(
    folder: Path, images: Iterable[ImageFile], names: Path, unread: Iterable[ImageFile] = ()
) -> Annotations:
    """Take a folder of text files; an image without one, or with an empty one, shows nothing.

    Args:
        folder: of the files, or of the whole data set: what images/ holds is annotated in labels/.
        images: all that there are.
        names: the file that names the classes, see `read_class_names`.
        unread: images of forms that are not read; their files are no strangers.

    Raises:
        ConfigError: the file of names is wrong.
    """
    classes, keypoints = read_class_names(names), read_keypoint_values(names)
    files = pair_files(folder, ".txt", images, _YOLO_FOLDERS, unread)
    readers = {name: partial(read_yolo, path, classes, keypoints) for name, path in files.files.items()}
    left = _inside(folder, [path for path in files.left if is_yolo(path)])
    return Annotations("text file", readers, _shared(files), left, blank=True)


def labels_json_annotations(path: Path, images: Iterable[ImageFile]) -> Annotations:
    """Take a labels.json; an image that shows nothing has an entry too.

    Raises:
        InputError: the file cannot be read or is not such JSON.
    """
    labelled = read_labels_json(path, images)
    readers = {name: partial(_as_it_is, drawing) for name, drawing in labelled.drawings.items()}
    return Annotations("entry", readers, {}, labelled.strangers, labelled.faults)


def place_boxes(
    annotations: Annotations, images: Iterable[ImageFile], exif: Exif | None = None
) -> PlacedBoxes:
    """Read the annotations of images, in their order; what cannot be used is a fault of its image.

    Args:
        annotations: what there is.
        images: those to read for; one without an annotation gives no row.
        exif: see `PlacedBoxes.add`.
    """
    placed = PlacedBoxes()
    for image in images:
        if image.name in annotations.faults:
            placed.faults[image.name] = [annotations.faults[image.name]]
        if image.name not in annotations.drawings:
            continue
        try:
            placed.add(image, image_size(image.path), annotations.drawings[image.name](), exif)
        except ImageError as error:
            placed.unreadable[image.name] = str(error)
        except InputError as error:
            placed.faults[image.name] = [str(error)]
    return placed


def _inside(folder: Path, paths: Iterable[Path]) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


def _as_it_is(drawing: Drawing) -> Drawing:
    return drawing


def _shared(files: AnnotationFiles) -> dict[str, str]:
    """Why the images that want one file have none."""
    return {
        name: f"{path}: fits {len(names)} images, {' and '.join(names[:3])}. Give each a file of its own."
        for path, names in files.shared.items()
        for name in names
    }
