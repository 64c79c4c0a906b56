"""The stage `segmentation.records`: images and masks as TFRecords for training, without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from odflow.errors import ImageError, InputError
from odflow.graph.job import Job
from odflow.graph.shards import Shard, write_shards
from odflow.graph.stage import InputFile, InputFolder, InputPath, OutputFile, OutputFolder, Stage, output
from odflow.reading import reading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from odflow.formats.image_check import Verify
    from odflow.formats.images import ImageFile
    from odflow.formats.mask_classes import ClassNumbers
    from odflow.formats.masks import Mask, MaskSet
    from odflow.graph.checking import Checking
    from odflow.heads.segmentation.audit import MaskAudit

    Pair = tuple[ImageFile, Mask]

_MOST_NAMED = 10


class Records(Stage):
    """Write images and their masks as TFRecords for training and validation."""

    version: ClassVar[int] = 5
    resumes: ClassVar[bool] = True

    images: InputFolder = Field(description="folder of the images, with the folders in it")
    format: Literal["index", "color", "yolo", "coco"] = Field(
        description="form of the masks: index (PNG whose pixels are class numbers), color (PNG whose colours "
        "are classes), yolo (text files of polygons) or coco (a JSON file of polygons and run lengths)"
    )
    masks: InputPath = Field(
        description="folder of the masks, named like the images but for their extension; coco: the JSON file"
    )
    names: InputFile | None = Field(
        None,
        description="YAML or JSON file with the class names under names: or classes:, and for color the "
        'colours under colors:, as in "(128, 0, 0)": flower; needed but for coco',
    )
    classes: dict[str, str] = Field(
        default_factory=dict, description="what a class becomes, by name; ignore: neither trained nor counted"
    )
    others: str | None = Field(
        None, description="what every class becomes that is not in classes; such a class stays if left out"
    )
    image_list: InputFile | None = Field(
        None, description="names of images, one a line: exactly these; all that have a mask if left out"
    )
    valid_fraction: float = Field(
        0.2,
        ge=0,
        le=1,
        description="share of images (0 to 1) for validation, chosen by a hash of their names; "
        "the copies of a photograph that Roboflow makes (NAME_jpg.rf.HASH.jpg) are on the side of NAME",
    )
    train_count: int | None = Field(
        None,
        ge=0,
        description="first so many images, sorted by name, to train, the others to validation; "
        "takes the place of valid_fraction; copies stay together here too, so it may be a few more or less",
    )
    valid_images: InputFile | None = Field(
        None,
        description="names of the validation images, one a line; takes the place of valid_fraction",
    )
    name: str = Field("data.record", pattern=r"^[\w][\w. -]*$", description="file name of the records")
    shards: int = Field(
        1, ge=1, le=99999, description="files a side; above 1 they end in -00000-of-00010 and so on"
    )

    verify: Literal["pixels", "structure"] = Field(
        "pixels",
        description="how each image is proved whole; pixels: it is decoded, a JPEG at an eighth of its size; "
        "structure: lengths, checksums and the end",
    )

    train_records: OutputFolder = output("train", "folder of the TFRecord files for training")
    valid_records: OutputFolder = output("valid", "folder of the TFRecord files for validation")
    class_names: OutputFile = output("classes.json", "the class of each number that the masks hold")
    audit: OutputFile = output(
        "audit.json", "pixels and images of each class, and the share of ignored pixels"
    )

    @model_validator(mode="after")
    def _fields_fit(self) -> Records:
        if self.format != "coco" and self.names is None:
            raise ValueError(f"{self.format} needs names: the file that names the classes")
        if self.train_count is not None and self.valid_images is not None:
            raise ValueError("train_count and valid_images both say how to split; leave one out")
        return self

    def check(self, checking: Checking) -> None:
        """See that the classes are named, that there are images, and room for them."""
        from odflow.checks import check_image_folder, check_room
        from odflow.formats.mask_classes import read_mask_classes

        names = checking.given("names")
        if names and self.format != "coco":
            checking.passes(lambda: read_mask_classes(names), "names")
        check_image_folder(checking, "images")
        check_room(checking, "images")

    def run(self, job: Job) -> None:
        """Write both sides, each shard from every n-th image; nothing is left when a mask is wrong."""
        import json

        from odflow.formats.mask_classes import number_classes, write_mask_classes
        from odflow.formats.masks import first_lines

        found = self._masks()
        classes = number_classes(found.classes, self.classes, self.others)
        pairs = self._pairs(job, found)
        sides = self._write(job, pairs, classes)
        wrong = [line for written in sides.values() for line in written.wrong]
        if wrong:
            raise InputError(*first_lines(wrong))
        if self.format == "index":
            _check_binary(written.audit.pixels for written in sides.values())
        for side, written in sides.items():
            written.tell(job, side)
        if not sides["train"].audit.masks:
            raise InputError(f"{job.name}: no image is left to train ({len(pairs)} have masks). {_HOW_SPLIT}")
        if not sides["valid"].audit.masks:
            job.log.warning("the valid side is empty")
        for file in (self.class_names, self.audit):
            file.unlink(missing_ok=True)  # a run that was stopped late may have left them read-only
        write_mask_classes(self.class_names, classes.names)
        text = json.dumps({side: written.audit.to_json() for side, written in sides.items()}, indent=1)
        self.audit.write_text(text + "\n", encoding="utf-8")

    def _masks(self) -> MaskSet:
        from odflow.formats.coco_masks import coco_masks
        from odflow.formats.mask_classes import read_mask_classes
        from odflow.formats.png_masks import color_masks, index_masks
        from odflow.formats.yolo_masks import yolo_masks

        if self.names is None or self.format == "coco":
            return coco_masks(self.masks)
        if not self.masks.is_dir():
            raise InputError(f"{self.masks}: is a file; wanted the folder of the masks. Or set format: coco.")
        read = {"index": index_masks, "color": color_masks, "yolo": yolo_masks}[self.format]
        return read(self.masks, read_mask_classes(self.names))

    def _pairs(self, job: Job, found: MaskSet) -> list[Pair]:
        """The images to write, sorted by name, and their masks."""
        from odflow.formats.masks import pair_masks

        images = self._images(job)
        pairing = pair_masks(images, found.masks)
        if pairing.bare and (self.image_list or not pairing.pairs):
            raise InputError(
                f"{job.name}: {self.masks} has no mask for {pairing.bare[0]} ({len(pairing.bare)} of "
                f"{len(images)} images lack theirs). Wanted: one named like the image but for its extension, "
                f"as {next(iter(found.masks.values())).place} is."
            )
        if pairing.bare:
            job.say(f"{len(pairing.bare)} images without a mask left out: {_named(pairing.bare)}")
            job.count("images_without_mask", len(pairing.bare))
        if pairing.left and not self.image_list:
            job.say(f"{len(pairing.left)} masks without an image left out: {_named(pairing.left)}")
            job.count("masks_without_image", len(pairing.left))
        return pairing.pairs

    def _images(self, job: Job) -> list[ImageFile]:
        from odflow.formats.image_search import search_images

        found = search_images(self.images if self.image_list is None else self.image_list, self.images)
        job.leave_out(*found.left_out)
        return found.images

    def _split(self, job: Job, names: list[str]) -> tuple[list[str], list[str]]:
        from odflow.formats.image_list import read_image_list
        from odflow.formats.image_names import first_alike
        from odflow.ops.split import count_together, photograph_of, split_by_count, split_by_hash

        if self.valid_images is not None:
            held = set(read_image_list(self.valid_images, self.images))
            return [name for name in names if name not in held], [name for name in names if name in held]
        photographs, images = count_together(map(photograph_of, names))
        if photographs:
            job.say(
                f"{images} images are copies of {photographs} photographs by their names (.rf.); "
                "those of one are on one side"
            )
            job.count("photographs_kept_together", photographs)
            job.count("images_of_photographs", images)
        first = first_alike(map(photograph_of, names))
        if self.train_count is not None:
            return split_by_count(names, self.train_count, lambda name: first[photograph_of(name)])
        return split_by_hash(names, self.valid_fraction, lambda name: first[photograph_of(name)])

    def _write(self, job: Job, pairs: Sequence[Pair], classes: ClassNumbers) -> dict[str, Written]:
        """Write the shards of both sides; gives what became of the images of each."""
        from odflow.formats.tfrecord import deal_shards, records_fault
        from odflow.heads.segmentation.audit import MaskAudit

        def make(left: list[PairTask]) -> Iterable[Made | InputError]:
            return job.progress(job.map(make_example, left), total=len(left), unit="image")

        train, valid = self._split(job, [image.name for image, _ in pairs])
        tasks = {image.name: PairTask(image, mask, classes.numbers, self.verify) for image, mask in pairs}
        shards: dict[Path, Sequence[PairTask]] = {}
        for folder, names in ((self.train_records, train), (self.valid_records, valid)):
            folder.mkdir(exist_ok=True)
            shards |= deal_shards(folder / self.name, [tasks[name] for name in names], self.shards)
        written = write_shards(job, shards, make, _write, records_fault, _Note)
        sides = {"train": Written(MaskAudit(classes.names)), "valid": Written(MaskAudit(classes.names))}
        for path, shard in zip(shards, written, strict=True):
            sides["train" if path.parent == self.train_records else "valid"].add(shard)
        return sides


def _check_binary(pixels: Iterable[NDArray[np.int64]]) -> None:
    """Refuse masks of 0 and 255 alone: those who draw white on black mean two classes."""
    import numpy as np

    total = np.sum(list(pixels), axis=0)
    if total[0] and total[255] and total[0] + total[255] == total.sum():
        raise InputError(
            f"the masks hold the numbers 0 ({total[0]} pixels) and 255 ({total[255]} pixels) alone; 255 is "
            "ignored, so nothing could be learnt. Are they black and white? Write 1 for white, or give "
            'format: color with colors "(255, 255, 255)".'
        )


@dataclass(frozen=True, slots=True)
class PairTask:
    """What one worker needs to make one example."""

    image: ImageFile
    mask: Mask
    numbers: Mapping[int, int]
    verify: Verify = "pixels"


@dataclass(frozen=True, slots=True)
class Made:
    """An example in pieces, and the pixels (256,) int64 of each class number in its mask."""

    pieces: list[bytes]
    pixels: NDArray[np.int64]


def make_example(task: PairTask) -> Made | InputError:
    """Make the example of one image; what is wrong with it or its mask is given back."""
    from odflow.formats.encoding import read_encoded
    from odflow.heads.segmentation.example import encode

    try:
        image = read_encoded(task.image.path, task.verify)
        with reading(task.mask.place, "a mask"):
            mask = task.mask.read((image.width, image.height), task.numbers)
    except InputError as error:
        return error
    return Made(encode(task.image.name, image, mask), mask.pixels)


def _write(path: Path, made: Iterable[Made | InputError]) -> Shard:
    """Write one shard; its note is for `Written`."""
    from odflow.formats.tfrecord import write_records
    from odflow.heads.segmentation.audit import MaskAudit

    audit = MaskAudit({})
    damaged: list[str] = []
    wrong: list[str] = []

    def usable() -> Iterator[list[bytes]]:
        for result in made:
            if isinstance(result, Made):
                audit.add(result.pixels)
                yield result.pieces
            else:
                (damaged if isinstance(result, ImageError) else wrong).append(str(result))

    masks = write_records(path, usable())
    counted = {"pixels": audit.pixels.tolist(), "images": audit.images.tolist()}
    return Shard(masks, {**counted, "damaged": damaged, "wrong": wrong})


@dataclass
class Written:
    """What became of the images of one side.

    Attributes:
        audit: of the masks that were written.
        damaged: why images or masks cannot be read, a line each.
        wrong: why masks do not fit, a line each.
    """

    audit: MaskAudit
    damaged: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def add(self, shard: Shard) -> None:
        """Take what became of the images of one shard."""
        self.audit.merge(shard.size, shard.note["pixels"], shard.note["images"])
        self.damaged += shard.note["damaged"]
        self.wrong += shard.note["wrong"]

    def tell(self, job: Job, side: str) -> None:
        """State what was skipped and what the masks hold."""
        for error in self.damaged:
            job.log.warning("skipped: %s", error)
        if self.damaged:
            job.count("images_unreadable", len(self.damaged))
            job.say(f"{side}: {len(self.damaged)} images skipped, which or whose masks cannot be read")
        for line in self.audit.lines():
            job.say(f"{side}: {line}")


_HOW_SPLIT = "Lower valid_fraction, raise train_count, or name fewer valid_images."


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (" ..." if len(names) > _MOST_NAMED else "")


class _Note(TypedDict):
    """What a shard's masks hold, by number of the class, and why others are not in it."""

    pixels: list[int]
    images: list[int]
    damaged: list[str]
    wrong: list[str]
