"""The numbers that the API's own TensorFlow 2 code computed for 13 small models with drawn weights."""

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from odflow.odapi.pipeline_config import read_pipeline_config  # noqa: E402
from odflow.training.architecture import architecture  # noqa: E402
from odflow.training.checkpoints import variables_by_name  # noqa: E402
from odflow.training.translation import translate  # noqa: E402

SSD = ("ssd_mnv2_fpnlite", "ssd_mnv2", "effdet_d0", "effdet_d1", "ssd_mnv1_fpn", "ssd_r50_fpn")
TWO_STAGES = ("frcnn_r50", "frcnn_r50_fpn", "mask_r50", "mask_r50_fixed")
CENTER_NETS = ("cn_r50_fpn", "cn_r50_v2", "cn_hg20")

NAMES = {
    "ssd_mnv2_fpnlite": "06c4ea3883d2120a",
    "ssd_mnv2": "81abf22ca11f3d43",
    "effdet_d0": "32dbb577121b0466",
    "effdet_d1": "97858367e2752cc9",
    "ssd_mnv1_fpn": "61c874cc19439ceb",
    "ssd_r50_fpn": "e17d19bbf52b7c02",
    "frcnn_r50": "949d1a2b555f4670",
    "frcnn_r50_fpn": "7eda0ca6fed36e7a",
    "mask_r50": "59e5d8757c0eb03d",
    "mask_r50_fixed": "59e5d8757c0eb03d",
    "cn_r50_fpn": "6311c191008fdce4",
    "cn_r50_v2": "4e29f98dcabf7cfa",
    "cn_hg20": "f7f859d7f394fe02",
}
"""The SHA-256 of the lines "KEY NAME" of all variables, sorted, as the API's own code builds the model."""

SOME = 60
"""Detections whose masks are compared."""

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Case:
    """One of the API's models.

    Attributes:
        name: of the family.
        theirs: what the API computed.
        kind: odflow's architecture of the same config.
        network: odflow's, with the same weights.
        image: (1, height, width, 3) uint8.
    """

    name: str
    theirs: Mapping[str, Any]
    kind: Any
    network: Any
    image: Any

    @cached_property
    def found(self):
        """What odflow detects."""
        return self.kind.detect(self.network, self.image)

    def compare(self, name, found, tolerance=5e-4):
        """A tensor of ours with theirs, number by number, as shares of their largest one.

        Rounding alone differs from one kind of processor to the next, by up to 3e-4 in single numbers.
        """
        found = np.asarray(found)
        if name in self.theirs:
            wanted, largest = self.theirs[name], np.abs(self.theirs[name]).max()
            assert found.size == wanted.size
            found, wanted = found.ravel(), wanted.ravel()
        else:
            assert found.size == np.prod(self.theirs[f"{name}:shape"])
            found = found.ravel()[self.theirs[f"{name}:index"]]
            wanted, largest = self.theirs[f"{name}:value"], self.theirs[f"{name}:largest"]
        assert np.abs(found - wanted).max() < tolerance * largest, name


def drawn(name, shape):
    """The weight that the README beside the numbers has drawn under this name."""
    rng, last = np.random.default_rng(zlib.crc32(name.encode())), name.rpartition("/")[2]
    if last == "gamma":
        return rng.uniform(0.8, 1.2, shape)
    if last in ("beta", "moving_mean", "bias"):
        return rng.normal(0, 0.1, shape)
    if last == "moving_variance":
        return rng.uniform(0.6, 1.6, shape)
    if last == "depthwise_kernel":
        return rng.normal(0, np.sqrt(2 / (shape[0] * shape[1])), shape)
    if len(shape) >= 2 and last != "bifpn_combine_weights":
        return rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)
    return rng.uniform(0.5, 1.5, shape)


@pytest.fixture(scope="module", params=[*SSD, *TWO_STAGES, *CENTER_NETS])
def case(request, shared, project, tmp_path_factory):
    file = shared / f"parity/{request.param}.npz"
    if not file.is_file():
        pytest.skip("needs the API's numbers in shared/parity")
    with np.load(file) as numbers:
        theirs = dict(numbers)
    config = tmp_path_factory.mktemp("parity") / "pipeline.config"
    config.write_text(str(theirs["config"]))
    settings, _ = translate(read_pipeline_config(config), str(config))
    kind = architecture(settings)
    network = kind.build()
    for name, variable in variables_by_name(network).items():
        value = drawn(name, tuple(variable.shape)) * float(theirs.get(f"factor:{name}", 1.0))
        variable.assign(value.astype(np.float32))
    photo = (project / "pipelines/quickstart/pool" / str(theirs["photo"])).read_bytes()
    return Case(request.param, theirs, kind, network, tf.io.decode_jpeg(photo, channels=3)[tf.newaxis])


def predicted(case):
    """The names of the API's raw outputs, to ours."""
    if case.name in SSD:
        inputs, _ = case.kind.preprocess(case.image)
        maps, encodings, logits = case.network(inputs, training=False)
        found = {"box_encodings": encodings, "class_predictions_with_background": logits}
    elif case.name in CENTER_NETS:
        from odflow.training.examples.preprocessing import preprocess

        model = case.kind.model
        inputs, _ = preprocess(case.image, model.resizer, model.extractor.normalization)
        maps, heads = [], case.network(inputs, training=False)
        found = {f"{name}:{i}": one for name, some in heads.items() for i, one in enumerate(some)}
    else:
        from odflow.training.faster_rcnn.targets import resize

        inputs, _ = resize(case.image, case.kind.model)
        maps, encodings, logits = case.network.propose(inputs)
        found = {"rpn_box_encodings": encodings, "rpn_objectness_predictions_with_background": logits}
    return inputs, found | {f"feature_maps:{i}": one for i, one in enumerate(maps)}


def rows_of(boxes, scores, classes, others):
    """Which of the other detections (boxes, scores, classes) each one is, -1 for none."""
    boxes_, scores_, classes_ = others
    distance = np.abs(boxes[:, None] - boxes_[None]).max(axis=2)
    far = (np.abs(scores[:, None] - scores_[None]) > 2e-4) | (classes[:, None] != classes_[None])
    distance = np.where(far | (distance > 1e-3), np.inf, distance)
    return np.where(np.isfinite(distance).any(axis=1), distance.argmin(axis=1), -1)


def detections(found, prefix=""):
    names = ("boxes", "scores", "classes")
    return tuple(np.asarray(found[f"{prefix}detection_{name}"])[0] for name in names)


def test_raw_outputs_are_the_api_s(case):
    inputs, found = predicted(case)
    if case.name not in CENTER_NETS:  # Keras's ResNets there change the pixels once more
        case.compare("preprocessed", inputs, 1e-6)
    known = {name.split(":", 1)[1].removesuffix(":shape") for name in case.theirs if name.startswith("pred:")}
    assert found.keys() & known
    for name in found.keys() & known:
        case.compare(f"pred:{name}", found[name])


def test_variables_are_called_as_in_the_api_for_patterns_that_freeze_them(case):
    lines = (f"{key} {variable.name}\n" for key, variable in variables_by_name(case.network).items())
    assert hashlib.sha256("".join(lines).encode()).hexdigest()[:16] == NAMES[case.name]


def test_detections_are_the_api_s(case):
    """As sets: which of two near-equal scores comes first, or last, is the processor's to say.

    Where there are proposals it also says which of two near-equal ones suppresses the other, and so
    which boxes come of them; with other windows half of the detections were others.
    """
    ours, theirs = detections(case.found), detections(case.theirs, "det:")
    assert float(case.found["num_detections"][0]) == float(case.theirs["det:num_detections"][0])
    for one, others in ((ours, theirs), (theirs, ours)):
        last = others[1][-1] + 2e-4  # a list that is full may have lost those that score so
        missing = (rows_of(*one, others) < 0) & (one[1] > last)
        assert missing.mean() <= (0.02 if case.name in TWO_STAGES else 0.0)


def test_proposals_are_clipped_to_the_picture_as_in_the_api(case):
    if case.name not in TWO_STAGES:
        pytest.skip("has no proposals")
    from odflow.training.faster_rcnn.targets import picture_window, resize

    inputs, picture = resize(case.image, case.kind.model)
    _, encodings, logits = case.network.propose(inputs)
    allowed = tf.ones(encodings.shape[1], tf.bool)
    anchors, window = tf.constant(case.kind.model.anchor_boxes()), picture_window(picture)
    boxes, _, found = case.kind._propose(encodings, logits, anchors, allowed, window)
    count = int(case.theirs["pred:num_proposals"][0])
    assert int(found.numpy().sum()) == count
    ours, theirs = np.asarray(boxes)[0, :count], case.theirs["pred:proposal_boxes"][0, :count]
    distance = np.abs(ours[:, None] - theirs[None]).max(axis=2)
    assert (distance.min(axis=0) < 0.1).mean() > 0.99  # of two near-equal ones either may suppress the other
    assert (ours[:, 2:] <= np.asarray(picture) + 1e-3).all()


def test_masks_are_the_api_s_where_it_cuts_them_where_the_detection_is(case):
    """The API takes shares of the picture for shares of the input: decision 007 says why odflow does not."""
    if "det:detection_masks:shape" not in case.theirs:
        pytest.skip("has no masks")
    from odflow.training.faster_rcnn.crops import crop
    from odflow.training.faster_rcnn.targets import resize

    inputs, picture = resize(case.image, case.kind.model)
    whole = tf.constant(case.kind.model.input_size, tf.float32)
    maps, _, _ = case.network.propose(inputs)
    some = {name: value[:, :SOME] for name, value in case.found.items() if name != "num_detections"}
    some["num_detections"] = tf.minimum(case.found["num_detections"], SOME)
    boxes = some["detection_boxes"] * tf.tile(whole, [2])
    masks = case.kind._masks(case.network, crop(maps, boxes, whole, case.kind.model.crop), some)
    rows = rows_of(*detections(case.theirs, "det:"), detections(some))
    shape, index = case.theirs["det:detection_masks:shape"], case.theirs["det:detection_masks:index"]
    _, place, y, x = np.unravel_index(index, shape)
    here = rows[place] >= 0
    ours = np.asarray(masks)[0, rows[place], y, x]
    assert here.mean() > 0.9 * SOME / shape[1]
    difference = np.abs(ours - case.theirs["det:detection_masks:value"])[here]
    # Of a crop that ends at the border rounding decides whether its last row is zeros.
    assert (difference < 2e-3).mean() > 0.95
    assert np.median(difference) < 1e-4
    fills = bool((picture == whole).numpy().all())
    assert np.allclose(case.found["detection_masks"][:, :SOME], masks, atol=1e-5) == fills
