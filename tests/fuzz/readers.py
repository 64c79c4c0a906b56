"""Every reader of files that people bring, with files that it reads and ways to damage them.

`tests/unit/test_fuzz.py` and `benchmarks/fuzz.py` walk this table: a file is read, or refused by an
error that names it. A new reader takes a row here.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from fuzz.damage import bytes_of, text_of
from odflow.errors import OdflowError
from odflow.formats.example import encode_example
from odflow.formats.images import ImageFile
from odflow.formats.tfrecord import read_records, record_spans, write_records

PROJECT = Path(__file__).resolve().parents[2]
SAMPLES = PROJECT.parent / "shared/odapi"
SECONDS = 10.0
"""Of processor time that one file may take; most take milliseconds."""

Damage = Callable[[Random, tuple[bytes, ...]], bytes]


@dataclass(frozen=True)
class Reader:
    """A row.

    Attributes:
        file: what the files are called.
        read: reads one, and asserts what must hold of that which was read.
        seeds: contents that are read.
        damage: makes other contents of them.
        tests: how many every run of the tests tries; fewer where one takes longer than a millisecond.
        cases: contents that were found to be hard.
    """

    file: str
    read: Callable[[Path], object]
    seeds: Callable[[], tuple[bytes, ...]]
    damage: Damage = text_of
    tests: int = 2000
    cases: tuple[bytes, ...] = ()

    def contents(self, name: str) -> Iterator[bytes]:
        """The cases, the files that are right, then damaged ones, the same ones each time."""
        yield from self.cases
        yield from self.seeds()
        number = 0
        while True:
            yield self.damage(Random(f"{name} {number}"), self.seeds())
            number += 1


@dataclass(frozen=True)
class Outcome:
    """What came of a file: "read", "refused", or what nobody expects; and how long it took."""

    kind: str
    said: str
    seconds: float


def attempt(reader: Reader, folder: Path, content: bytes) -> Outcome:
    """Read one content."""
    path = folder / reader.file
    path.write_bytes(content)
    began = time.process_time()
    try:
        reader.read(path)
        kind, said = "read", ""
    except OdflowError as error:
        kind, said = "refused", str(error)
        lines = said.split("\n")
        if not all(line and line.isprintable() for line in lines):
            kind, said = "unexpected", f"lines that cannot be shown: {said!r}"
        elif path.name not in said:
            kind, said = "unexpected", f"the file is not named: {said}"
        elif "more memory than there is" in said:
            kind = "unexpected"
    except Exception as error:
        kind, said = "unexpected", f"{type(error).__name__}: {error}"
    seconds = time.process_time() - began
    if seconds > SECONDS:
        kind, said = "unexpected", f"took {seconds:.1f} s: {said}"
    return Outcome(kind, said, seconds)


def _files(*patterns: str, most: int = 4000) -> tuple[bytes, ...]:
    found = [
        file for pattern in patterns for root in (PROJECT, SAMPLES) for file in sorted(root.glob(pattern))
    ]
    assert found
    return tuple(file.read_text("utf-8")[:most].encode() for file in found)


def _texts(*texts: str) -> Callable[[], tuple[bytes, ...]]:
    return lambda: tuple(text.encode() for text in texts)


def _picture(form: str, mode: str = "RGB", size: tuple[int, int] = (24, 16), **options: Any) -> bytes:
    noise = Random(0).randbytes(size[0] * size[1] * len(mode))
    buffer = BytesIO()
    Image.frombytes(mode, size, noise).save(buffer, form, **options)
    return buffer.getvalue()


@cache
def _pictures() -> tuple[bytes, ...]:
    exif = Image.Exif()
    exif[0x0112] = 6
    return (
        _picture("JPEG", exif=exif),
        _picture("JPEG", "L"),
        _picture("JPEG", "CMYK"),
        _picture("JPEG", progressive=True),
        *(_picture("PNG", mode) for mode in ("RGB", "RGBA", "L")),
        *(_picture(form) for form in ("BMP", "WEBP", "GIF", "TIFF")),
        _picture("WEBP", lossless=True),
    )


@cache
def _masks() -> tuple[bytes, ...]:
    grey = Image.fromarray(np.arange(384, dtype=np.uint8).reshape(16, 24) % 3)
    palette = grey.copy()
    palette.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    colours, found = palette.convert("RGB"), []
    for picture in (grey, palette, colours, colours.convert("RGBA"), grey.convert("1")):
        buffer = BytesIO()
        picture.save(buffer, "PNG")
        found.append(buffer.getvalue())
    return tuple(found)


CLASSES = {0: "background", 1: "cat", 2: "dog"}


def _read_voc(path: Path) -> None:
    from odflow.formats.voc import read_voc

    _check_drawing(read_voc(path))


def _read_yolo(path: Path) -> None:
    from odflow.formats.yolo import is_yolo, read_yolo

    is_yolo(path)
    for keypoints in (0, 6):
        _check_drawing(read_yolo(path, {0: "cat", 1: "dog"}, keypoints))


def _check_drawing(found: Any) -> None:
    assert all(math.isfinite(corner) for box in found.boxes for corner in box.corners)
    assert all(fault.isprintable() for fault in found.faults), found.faults


def _read_names(path: Path) -> None:
    from odflow.formats.class_names import read_class_names, read_keypoint_values

    names = read_class_names(path)
    assert all(isinstance(number, int) and name.isprintable() for number, name in names.items()) or names
    assert read_keypoint_values(path) >= 0


def _read_mask_classes(path: Path) -> None:
    from odflow.formats.mask_classes import read_mask_classes

    assert read_mask_classes(path).names


def _read_label_map(path: Path) -> None:
    from odflow.formats.label_map import read_label_map

    labels = read_label_map(path)
    path.write_text(labels.to_text(), "utf-8")
    assert read_label_map(path) == labels


def _read_config(path: Path) -> None:
    from odflow.odapi.coverage_report import CoverageReport
    from odflow.odapi.pipeline_config import pipeline_config_text, read_pipeline_config
    from odflow.training.translation import translate

    config = read_pipeline_config(path)
    path.write_text(pipeline_config_text(config), "utf-8")
    if config.ListFields():
        assert read_pipeline_config(path) == config
        _, coverage = translate(config, path.name, to_train=False, inputs=False)
        assert CoverageReport.of(config, coverage).to_markdown()


def _read_pipeline(path: Path) -> None:
    from odflow.graph.reading import read_pipeline
    from odflow.graph.registry import Registry

    read_pipeline(path, Registry.installed())


def _read_labels_json(path: Path) -> None:
    from odflow.formats.labels_json import read_labels_json

    found = read_labels_json(path, [ImageFile("0.png", path.parent / "0.png")])
    assert all(fault.isprintable() for fault in found.faults), found.faults
    for drawing in found.drawings.values():
        _check_drawing(drawing)


def _read_people(path: Path, read: Callable[[Path], Any]) -> None:
    people = read(path)
    assert all(str(fault).isprintable() for fault in (*people.left_out, *people.mended))
    people.table.to_csv(BytesIO())


def _people_readers() -> dict[str, Callable[[Path], Any]]:
    from odflow.formats.coco_keypoints import read_coco_keypoints
    from odflow.formats.flic import read_flic
    from odflow.formats.lsp import read_lsp
    from odflow.formats.mpii import read_mpii

    return {"coco": read_coco_keypoints, "flic": read_flic, "lsp": read_lsp, "mpii": read_mpii}


def _people(form: str) -> Callable[[Path], None]:
    return lambda path: _read_people(path, _people_readers()[form])


def _read_coco_masks(path: Path) -> None:
    from odflow.formats.coco_masks import coco_masks
    from odflow.reading import reading

    for mask in coco_masks(path).masks.values():
        with reading(mask.place, "a mask"):
            mask.read((24, 16), {-1: 0, 1: 1, 2: 2})


def _read_yolo_mask(path: Path) -> None:
    from odflow.formats.yolo_masks import YoloMask
    from odflow.reading import reading

    with reading(path, "a mask"):
        YoloMask(path, Path("data.yaml"), frozenset(CLASSES)).read((24, 16), {-1: 0, 0: 0, 1: 1, 2: 2})


def _read_png_mask(path: Path) -> None:
    from odflow.formats.png_masks import ColorMask, IndexMask
    from odflow.reading import reading

    colours = {(0, 0, 0): 0, (128, 0, 0): 1, (0, 128, 0): 2}
    for mask in (IndexMask(path, Path("classes.yaml")), ColorMask(path, Path("classes.yaml"), colours)):
        with reading(path, "a mask"):
            found = mask.read((24, 16), {0: 0, 1: 1, 2: 2})
            assert found.pixels.sum() == 24 * 16


def _read_skeleton(path: Path) -> None:
    from odflow.heads.pose.skeleton import read_skeleton

    read_skeleton(str(path))


def _read_keypoints(path: Path) -> None:
    from odflow.formats.keypoints import read_keypoints

    read_keypoints(path, ["nose"])


def _read_detections(path: Path) -> None:
    from odflow.formats.detection_rows import COLUMNS
    from odflow.formats.detections import read_detections

    assert list(read_detections(path))[: len(COLUMNS)] == COLUMNS


def _read_image(path: Path) -> None:
    from odflow.formats.images import image_size, read_image

    size = image_size(path)
    assert read_image(path).shape == (size.height, size.width, 3)


def _read_encoded(path: Path) -> None:
    from odflow.formats.encoding import read_encoded

    for verify in ("structure", "pixels"):
        found = read_encoded(path, verify)  # type: ignore[arg-type]
        assert min(found.width, found.height) > 0


def _read_list(path: Path) -> None:
    from odflow.formats.image_list import read_image_list

    (path.parent / "a.jpg").touch()
    read_image_list(path, path.parent)


def _tell_kind(path: Path) -> None:
    from odflow.formats.file_kinds import what_is

    found = what_is(path)
    json.dumps(str(found)).encode()
    assert found is None or "\n" not in str(found)


def _read_framing(path: Path) -> None:
    assert len(list(read_records(path))) == len(list(record_spans(path)))


def _look_at_records(path: Path) -> None:
    from odflow.formats.object_check import Wanted, check_records

    check_records([path], Wanted(2, {"dog": 2}, masks="png", keypoints=1))


def _read_labelled(path: Path) -> None:
    from odflow.formats.label_map import Label, LabelMap
    from odflow.formats.labelled_images import labelled_images_of_records

    for image in labelled_images_of_records(path, LabelMap((Label(1, "cat"), Label(2, "dog")))):
        image.read()


@cache
def _person() -> tuple[bytes, ...]:
    from odflow.formats.encoding import EncodedImage
    from odflow.heads.pose.person import Person, encode

    box, joints = np.array([1.0, 2, 20, 15]), np.float32([[5, 6, 2]])
    person = Person("a.png", 0, 24, 16, joints, box, (box[:2] + box[2:]) / 2, 0.1, 3.0)
    return (b"".join(encode(person, EncodedImage(_picture("PNG"), "png", 24, 16), ["nose"])),)


def _look_at_people(path: Path) -> None:
    from odflow.heads.pose.record_check import check_people

    check_people([path], ["nose"])


def _look_at_masks(path: Path) -> None:
    from odflow.heads.segmentation.record_check import check_masks

    check_masks([path], 3)


@cache
def _examples() -> tuple[bytes, ...]:
    sides = {f"image/object/bbox/{side}": np.float32([0.1, 0.5]) for side in ("ymin", "xmin", "ymax", "xmax")}
    features = {
        "image/encoded": [_picture("PNG")],
        "image/filename": [b"a.png"],
        "image/height": np.array([16]),
        "image/width": np.array([24]),
        "image/object/class/label": np.array([1, 2]),
        "image/object/class/text": [b"cat", b"dog"],
        "image/object/mask": [_masks()[0]] * 2,
        "image/object/keypoint/x": np.float32([0.1, 0.2]),
        "image/object/keypoint/y": np.float32([0.1, 0.2]),
        "image/segmentation/class/encoded": [_masks()[0]],
        **sides,
    }
    return (encode_example(features),)


def _framed(payload: bytes) -> bytes:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        write_records(Path(file.name), [payload])
        return file.read()


@cache
def _records() -> tuple[bytes, ...]:
    return tuple(map(_framed, _examples()))


@cache
def _people_records() -> tuple[bytes, ...]:
    return tuple(map(_framed, _person()))


def _damaged_example(random: Random, seeds: tuple[bytes, ...]) -> bytes:
    """A whole record of a damaged message, after 12 bytes of frame and before 4."""
    return _framed(bytes_of(random, tuple(seed[12:-4] for seed in seeds)))


@cache
def _mat(form: str) -> tuple[bytes, ...]:
    from scipy.io import savemat

    good, size = np.ones((2, 29)), np.array([[480, 720, 3]])
    kinds = [(name, object) for name in ("coords", "filepath", "imgdims", "istrain", "istest")]
    rows = [(good, "a.jpg", size, 1, 0), (good * np.nan, "b.jpg", size, 0, 1)]
    variables = {
        "flic": {"examples": np.array(rows, dtype=kinds)},
        "lsp": {"joints": np.ones((14, 3, 3))},
        "other": {"joints": np.array([[1, "a"], [{"b": 2}, 1j]], object), "examples": {"a": [1, "x"]}},
    }
    found = []
    for name in (form, "other"):
        for compressed in (False, True):
            buffer = BytesIO()
            savemat(buffer, variables[name], do_compression=compressed)
            found.append(buffer.getvalue())
    return tuple(found)


def _damaged_mat(random: Random, seeds: tuple[bytes, ...]) -> bytes:
    """Changes are within the first variable, mostly; whole numbers and tags more often than others."""
    if random.random() < 0.3:
        return bytes_of(random, seeds)
    data = bytearray(random.choice(seeds))
    for _ in range(random.randint(1, 3)):
        at = random.randrange(120, len(data) - 4) & ~3
        data[at : at + random.choice([1, 4])] = random.choice(
            [random.randrange(40).to_bytes(4, "little"), random.randbytes(4), b"\xff\xff\xff\x7f"]
        )[: random.choice([1, 4])]
    return bytes(data)


@cache
def _checkpoint() -> tuple[bytes, ...]:
    import tempfile

    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        module = tf.Module()
        module.one, module.two = tf.Variable([1.0, 2.0]), tf.Variable([[3]])
        tf.train.Checkpoint(model=module).write(f"{folder}/ckpt-1")
        index, data = (Path(folder, f"ckpt-1.{end}").read_bytes() for end in ("index", "data-00000-of-00001"))
    return (len(index).to_bytes(4, "little") + index + data,)


_CHECKPOINT_CASES = (
    # The footer of the index says that its block has 2^40 bytes and more.
    bytes.fromhex(
        "0001000000000608011a020801001c0e5f434845434b504f494e5441424c455f4f424a4543545f475241504808071200200c"
        "28bf013573be830400240f6d6f64656c2f6f6e652f2e415454524942555445532f5641524941424c455f56414c5545080112"
        "0412020802280835593ce535061e1574776f2f2e415454524942555445532f5641ffffffff4c455f56414c55450803120812"
        "020801120208012008280435633f7f28000000000100000000c14a0d7e000000000100000000c0f2a1b00001036e00aa0100"
        "0000000100000000149f4872af010844a197aec1b7c8000000000000000000000000000000000000000000000000000000000"
        "00057fb808b247547db0000803f0000004003000000b901e709a37e0a0f0a09080112056d6f64656c2a0208010a160a070802"
        "12036f6e650a070803120374776f2a0208010a4612400a0e5641524941424c455f56414c554512085661726961626c651a24"
        "6d6f64656c2f6f6e652f2e415454524942555445532f5641524941424c455f56414c55452a0208010a4612400a0e56415249"
        "41424c455f56414c554512085661726961626c651a246d6f64656c2f74776f2f2e415454524942555445532f564152494142"
        "4c455f56414c55452a020801"
    ),
)


def _read_checkpoint(path: Path) -> None:
    """One file holds both of a checkpoint's, after the length of the first."""
    from odflow.odapi.checkpoint import read_checkpoint

    content = path.read_bytes()
    split = 4 + int.from_bytes(content[:4], "little")
    for end, data in (("index", content[4:split]), ("data-00000-of-00001", content[split:])):
        Path(f"{path}.{end}").write_bytes(data)
    weights = read_checkpoint(path)
    for name in weights:
        weights[name]


@cache
def _frozen_graphs() -> tuple[bytes, ...]:
    """A convolution with its batch norm, and one into which a tool folded it."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, [1, 8, 8, 3], "image")
        weights = tf.constant(np.ones((1, 1, 3, 2), np.float32), name="F/Conv/weights")
        found = tf.nn.conv2d(
            image, tf.identity(weights, "F/Conv/weights/read"), 1, "SAME", name="F/Conv/Conv2D"
        )
        norm = [
            tf.constant([1.0, 2.0], name=f"F/Conv/BatchNorm/{name}")
            for name in ("gamma", "beta", "moving_mean", "moving_variance")
        ]
        tf.compat.v1.nn.fused_batch_norm(
            found, *norm, is_training=False, name="F/Conv/BatchNorm/FusedBatchNorm"
        )
        kernel = tf.constant(np.ones((1, 1, 3, 2), np.float32), name="F/Conv_1/weights")
        folded = tf.nn.conv2d(image, kernel, 1, "SAME", name="F/Conv_1/Conv2D")
        tf.nn.bias_add(folded, tf.constant([1.0, 2.0], name="F/Conv_1/Conv2D_bias"), name="F/Conv_1/add")
    return (graph.as_graph_def().SerializeToString(),)


def _read_frozen(path: Path) -> None:
    from odflow.odapi.frozen_weights import read_frozen_graph

    found = read_frozen_graph(path)
    assert found.arrays
    found.for_network({"other"}, {})


_BRACKETS = b"[" * 3000
_DIGITS = b"9" * 5000
_LAUGHS = "a: &a [l, l, l]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
_DOUBLES = "params:\n  a0: [x]\n" + "".join(
    f'  a{n}: ["${{params.a{n - 1}}}", "${{params.a{n - 1}}}"]\n' for n in range(1, 40)
)
_NAMES = (
    "names: [cat, no, 007]\nnc: 3\nkpt_shape: [17, 3]\n",
    "path: .\nnames:\n  0: cat\n  1: 'a b'\n  2: null\n",
    'colors:\n  (0, 0, 0): background\n  "#800000": flower\n  (0, 0, 128): ignore\n',
    '{"names": {"0": "a", "1": "b"}}',
)
_NAME_CASES = (
    b"names: [a]\ndate: 2024-13-45\n",
    b"names: {" + _DIGITS + b": a}",
    b"names: " + _BRACKETS,
    f"{_LAUGHS}names: *i\n".encode(),
    b"names: &a [*a]",
)
_COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 24, "height": 16}],
    "annotations": [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 1,
            "iscrowd": 0,
            "keypoints": [1, 1, 2],
            "bbox": [0, 0, 1, 1],
            "area": 7.5,
            "segmentation": [[0, 0, 10, 0, 10, 10]],
        },
        {"id": 2, "image_id": 1, "category_id": 2, "segmentation": {"size": [16, 24], "counts": [300, 84]}},
    ],
    "categories": [{"id": 1, "name": "person", "keypoints": ["nose"]}, {"id": 2, "name": "dog"}],
}
_JSON_CASES = (
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"[1" + b"0" * 5000 + b"]",
    b"[NaN, Infinity]",
    b"\xff\xfe",
)


def _coco(**changes: Any) -> bytes:
    return json.dumps(_COCO | changes).encode()


_COCO_CASES = (
    *_JSON_CASES,
    _coco(categories=[{"id": 1, "name": "person", "keypoints": ["nose", "nose"]}]),
    _coco(categories=[{"id": 1, "name": "\ud800", "keypoints": ["\ud800"]}]),
    _coco(images=[{"id": 1, "file_name": "\ud800.jpg", "width": 24, "height": 16}]),
    _coco(images=[{"id": 1, "file_name": "a.jpg", "width": 10**400, "height": 10**400}]),
    _coco(images=[{"id": 1, "file_name": "a.jpg", "width": float("inf"), "height": float("nan")}]),
    _coco(images=[{"id": [], "file_name": "a.jpg"}]),
    _coco(
        annotations=[
            {"id": 1, "image_id": 1, "category_id": 1, "keypoints": [10**400, 1, 2], "bbox": [0] * 4}
        ]
    ),
    _coco(annotations=[_COCO["annotations"][0] | {"segmentation": {"size": [16, 24], "counts": [10**400]}}]),  # type: ignore[operator]
)
_LABEL_MAP_CASES = (
    *(
        f'item {{ id: {number} name: "{name}" }}'.encode()
        for number, name in ((1, r"a\8"), (1, r"a\x"), (1, r"a\UFFFFFFFF"), (2**31, "a"), ("9" * 5000, "a"))
    ),
    b"item {" * 3000,
    b'item { id: 1 name: "a" keypoints ' + _BRACKETS,
)
_MPII = json.dumps(
    [
        {
            "image": "a.jpg",
            "joints": [[10.0 * k, 5.0 * k] for k in range(16)],
            "joints_vis": [1] * 16,
            "scale": 3.02,
            "center": [594, 257],
        }
    ]
)
_VOC = (
    "<?xml version='1.0' encoding='utf-8'?><annotation><filename>a.jpg</filename><size><width>64</width>"
    "<height>48</height></size><object><name>cat</name><difficult>1</difficult><bndbox><xmin>1</xmin>"
    "<ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object><object><name>é</name><polygon><pt>"
    "<x>1</x><y>2</y></pt><pt><x>3</x><y>4</y></pt></polygon></object></annotation>"
)
_VOC_CASES = (
    *(
        f'<?xml version="1.0" encoding="{name}"?>{_VOC[_VOC.index("<annotation>") :]}'.encode()
        for name in (
            "utf-7",
            "hz",
            "shift_jis",
            "gbk",
            "big5hkscs",
            "idna",
            "unicode_escape",
            "rot13",
            "zlib",
            "no-such",
        )
    ),
    b"<annotation>" + b"<a>" * 100_000,
    b"<annotation><size><width>" + _DIGITS + b"</width></size></annotation>",
)
_YOLO = "0 0.5 0.5 0.25 0.25\n1 0.1 0.1 0.1 0.1 0.9\n0 0 0 1 0 1 1\n"
_CSV = """\
filename,width,height,class,score,xmin,ymin,xmax,ymax
a.jpg,40,30,cat,0.5,1,2,30,20
b.jpg,40,30,dog,1,0,0,9,9
"""


def _skeletons() -> tuple[bytes, ...]:
    return _files("odflow/heads/pose/skeletons/*.json")


READERS: dict[str, Reader] = {
    "VOC": Reader("a.xml", _read_voc, _texts(_VOC), cases=_VOC_CASES),
    "YOLO": Reader(
        "a.txt", _read_yolo, _texts(_YOLO), cases=(b"0 0.5 0.5 0.1 \xe9", _DIGITS + b" 0.5 0.5 0.1 0.1")
    ),
    "names in YAML": Reader("data.yaml", _read_names, _texts(*_NAMES), cases=_NAME_CASES),
    "names in lines": Reader("obj.names", _read_names, _texts("cat\ndog\n")),
    "classes of masks": Reader("classes.yaml", _read_mask_classes, _texts(*_NAMES), cases=_NAME_CASES),
    "label map": Reader(
        "a.pbtxt",
        _read_label_map,
        lambda: (*_files("label_maps/*.pbtxt", most=2000), b'item { id: 1 name: "a" }\n' * 3),
        cases=_LABEL_MAP_CASES,
    ),
    "pipeline.config": Reader(
        "a.config",
        _read_config,
        partial(_files, "pipelines/*.config", "configs/*.config", most=100_000),
        cases=_LABEL_MAP_CASES,
        tests=1000,
    ),
    "pipeline": Reader(
        "p.yaml",
        _read_pipeline,
        partial(_files, "pipelines/*.yaml"),
        cases=(*_NAME_CASES, f"{_DOUBLES}stages: {{filter: {{}}}}\n".encode()),
        tests=1000,
    ),
    "labels.json": Reader(
        "labels.json",
        _read_labels_json,
        _texts('[{"image": "0.png", "meshes": {"Cube": {"x1": 0.1, "x2": 0.5, "y1": 0, "y2": 1}}}]'),
        cases=(
            *_JSON_CASES,
            b'[{"image":"0.png","meshes":{"C":{"x1":-1' + b"0" * 400 + b',"x2":NaN,"y1":0,"y2":1e999}}}]',
            b'[{"image":"\\ud800","meshes":{"\\ud800":{}}}]',
            b'[{"image":"0.png","image":"0.png","meshes":{}}]',
            b'[{"image":"' + b"a" * 300 + b'.jpg","meshes":{}}]',
        ),
    ),
    "COCO keypoints": Reader("c.json", _people("coco"), lambda: (_coco(),), cases=_COCO_CASES, tests=1000),
    "COCO masks": Reader("c.json", _read_coco_masks, lambda: (_coco(),), cases=_COCO_CASES),
    "MPII": Reader("m.json", _people("mpii"), _texts(_MPII), cases=_JSON_CASES, tests=1000),
    "FLIC": Reader("f.mat", _people("flic"), partial(_mat, "flic"), _damaged_mat),
    "LSP": Reader("l.mat", _people("lsp"), partial(_mat, "lsp"), _damaged_mat),
    "skeleton": Reader("s.json", _read_skeleton, _skeletons, cases=_JSON_CASES),
    "boxes": Reader("t.csv", _read_detections, _texts(_CSV), cases=(_CSV.encode() + _DIGITS,), tests=500),
    "people": Reader(
        "p.csv",
        _read_keypoints,
        _texts("filename,person,width,height,nose_x,nose_y,nose_v\na.jpg,0,40,30,1,2,2\nb.jpg,0,,,,,0\n"),
        tests=500,
    ),
    "mask of polygons": Reader(
        "m.txt", _read_yolo_mask, _texts("0 0 0 1 0 1 1\n2 0 0 0.5 0 0.5 1 0.2 0.2\n")
    ),
    "mask": Reader("m.png", _read_png_mask, _masks, bytes_of),
    "list of images": Reader(
        "l.txt",
        _read_list,
        _texts("a.jpg\n# b\n\na.jpg\n"),
        cases=(b"a" * 300, b"a.jpg/b", b"a\0", b"/a.jpg"),
    ),
    "image": Reader("i.jpg", _read_image, _pictures, bytes_of),
    "image for records": Reader("i.jpg", _read_encoded, _pictures, bytes_of),
    "records": Reader("r.record", _read_framing, _records, bytes_of),
    "examples of a detector": Reader("r.record", _look_at_records, _records, _damaged_example),
    "examples to evaluate": Reader("r.record", _read_labelled, _records, _damaged_example),
    "examples of people": Reader("r.record", _look_at_people, _people_records, _damaged_example),
    "examples with masks": Reader("r.record", _look_at_masks, _records, _damaged_example),
    "any file": Reader(
        "x",
        _tell_kind,
        lambda: (*_pictures(), *_records(), *_texts(_VOC, _CSV, *_NAMES)(), *_mat("flic")),
        bytes_of,
    ),
    "checkpoint": Reader(
        "ckpt-1", _read_checkpoint, _checkpoint, bytes_of, tests=300, cases=_CHECKPOINT_CASES
    ),
    "frozen graph": Reader("g.pb", _read_frozen, _frozen_graphs, bytes_of, tests=1000),
}
